" Vim syntax of mas, the language of masdsl. Made from the grammar by `python -m tests.regen`; do not edit.
if exists("b:current_syntax") | finish | endif
syntax case match
syntax sync minlines=200

syntax keyword masDeclaration agent budget extern flow rectify test tool type use
syntax keyword masControl add after before bind drop each else expect for given if loop match of otherwise redo rename replace return set until where within wrap
syntax keyword masLogical and not or
syntax keyword masConstant false none true
syntax keyword masPrimitive bool float int text
syntax match masPlaced /\v<%(at|calls|mas|max|patch|retry|seconds|steps|temp|timeout|tokens|tries|usd)>(\s+[0-9])@=/
syntax match masPlaced /\v<%(from|replies|role)>(\s+")@=/
syntax match masPlaced /\v<%(as)>(\s+[A-Za-z_])@=/
syntax match masPlaced /\v<%(in)>(\s+[A-Za-z_"(\[])@=/
syntax match masPlaced /\v<%(on)>(\s+[a-z_"])@=/
syntax match masPlaced /\v<%(tools)>(\s+\[)@=/
syntax match masPlaced /\v<%(effect|fails)>(\s*%([.(,:\[]|\+?\=))@!/
syntax match masType /\v<[A-Z][A-Za-z0-9]*>/
syntax match masCall /\v<[a-z_][a-z0-9_]*\(@=/
syntax match masMember /\v\.[a-z_][a-z0-9_]*/
syntax match masNumber /\v<[0-9]+%(\.[0-9]+|\%|[kM]>)?/
syntax match masComment /#.*$/ contains=@Spell
syntax match masDoc /##.*$/ contains=@Spell
syntax match masEscape /\v\\%(u\{[0-9A-Fa-f]*\}|.)/ contained
syntax region masString start=/"/ skip=/\\./ end=/"/ oneline contains=masEscape,masTag,masNote
syntax region masString start=/"""/ skip=/\\./ end=/"""/ contains=masEscape,masTag,masNote
syntax region masNote start=/{#/ end=/#}/ contained
syntax region masTag matchgroup=masMark start=/{{[-+]\?/ end=/[-+]\?}}/ contained contains=@masInside
syntax region masTag matchgroup=masMark start=/{%[-+]\?/ end=/[-+]\?%}/ contained contains=@masInside
syntax keyword masTagWord and elif else endfor endif false for if in is none not or true contained
syntax match masFilter /|\s*\w\+/ contained
syntax match masTagString /'[^']*'/ contained
syntax cluster masInside contains=masTagWord,masFilter,masTagString

highlight default link masDeclaration Keyword
highlight default link masControl Statement
highlight default link masLogical Operator
highlight default link masConstant Boolean
highlight default link masPrimitive Type
highlight default link masPlaced Keyword
highlight default link masType Type
highlight default link masCall Function
highlight default link masMember Identifier
highlight default link masNumber Number
highlight default link masComment Comment
highlight default link masDoc SpecialComment
highlight default link masEscape SpecialChar
highlight default link masString String
highlight default link masNote Comment
highlight default link masMark PreProc
highlight default link masTag Identifier
highlight default link masTagWord Conditional
highlight default link masFilter Function
highlight default link masTagString String

let b:current_syntax = "mas"
