; Made from the grammar by `python -m tests.regen`; do not edit.

(COMMENT) @comment
((COMMENT) @comment.documentation (#match? @comment.documentation "^##"))
(STRING) @string
[(INT) (FLOAT) (SCALED) (PERCENT)] @number

["add" "after" "agent" "as" "at" "before" "bind" "budget" "calls" "drop" "each" "else" "expect" "extern" "fails" "flow" "for" "from" "given" "if" "in" "loop" "mas" "match" "max" "of" "on" "otherwise" "patch" "rectify" "redo" "rename" "replace" "replies" "retry" "return" "role" "seconds" "set" "steps" "temp" "test" "timeout" "tokens" "tool" "tools" "tries" "type" "until" "usd" "use" "where" "within" "wrap"] @keyword
(effect) @keyword
(budget_place) @keyword
(rectify_place) @keyword
["and" "not" "or"] @keyword.operator
["false" "none" "true"] @constant.builtin
["->" "=" "+=" "==" "!=" "<=" ">=" "<" ">" "+" "-" "*" "/" "|" "?"] @operator
["(" ")" "[" "]" "{" "}"] @punctuation.bracket
["," ":" "."] @punctuation.delimiter

(callee) @function.call
(type_binder) @type.definition
(type_ref) @type
(primitive_ref) @type.builtin
(field_ref) @property
(field_binder) @property
(word_binder) @constant
(word_ref) @constant
(literal_word_ref) @constant
(var_ref) @variable
(param_ref) @variable.parameter
(size_ref) @variable.parameter
(size_binder) @variable.parameter
(label_binder) @label
(module_ref) @module
(model_ref) @constant.builtin
(agent_ref) @function
(tool_ref) @function
(path_part) @variable.member

(bind (binder) @variable)
(param (binder) @variable.parameter)
(agent (binder) @function)
(variant (binder) @function)
(tool (binder) @function)
(extern (binder) @function)
(flow_head (binder) @function)
