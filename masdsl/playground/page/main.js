const start = await (await fetch("api/start")).json();
document.title = `${start.document.name} - mas playground`;
document.getElementById("text").textContent = start.document.text;
