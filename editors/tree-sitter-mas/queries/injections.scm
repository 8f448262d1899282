; Prompts are templates.
((agent (STRING) @injection.content)
  (#set! injection.language "jinja"))
((variant (STRING) @injection.content)
  (#set! injection.language "jinja"))
