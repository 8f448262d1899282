// The grammar is made from grammar/mas.lark: `python -m tests.regen` writes src/grammar.json.
module.exports = { grammar: require("./src/grammar.json") };
