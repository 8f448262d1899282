-- Drives `mas lsp`, the syntax file and the tree-sitter grammar from inside Neovim, as a person would.
-- Written for 0.7 (Debian 12) and newer. What was seen goes to the file $MAS_SEEN as JSON.
local seen, patience = {}, 30000

local function uri_of(buffer)
  return vim.uri_from_bufnr(buffer)
end

local function lines()
  return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")
end

local function go(needle, shift)
  for number, line in ipairs(vim.api.nvim_buf_get_lines(0, 0, -1, false)) do
    local at = line:find(needle, 1, true)
    if at then
      vim.api.nvim_win_set_cursor(0, { number, at - 1 + (shift or 0) })
      return { line = number - 1, column = at - 1 }
    end
  end
  error("no `" .. needle .. "` in the text")
end

local function wait(what, done)
  if not vim.wait(patience, done, 20) then
    error("waited in vain for " .. what)
  end
end

local client
local function ask(method, params)
  local answers, failed = vim.lsp.buf_request_sync(0, method, params, patience)
  assert(answers, method .. ": " .. tostring(failed))
  local answer = answers[client]
  assert(answer and not answer.error, method .. ": " .. vim.inspect(answer))
  return answer.result
end

local function here()
  return vim.lsp.util.make_position_params(0, "utf-16")
end

local function codes()
  local found = {}
  for _, one in ipairs(vim.diagnostic.get(0)) do
    table.insert(found, tostring(one.code or (one.user_data and one.user_data.lsp and one.user_data.lsp.code)))
  end
  return found
end

local function drive()
  vim.cmd("edit " .. vim.fn.fnameescape(vim.env.MAS_FILE))
  seen.filetype = vim.bo.filetype
  seen.comments = vim.bo.commentstring

  -- the syntax file
  vim.cmd("syntax sync fromstart")
  seen.syntax = {}
  for _, word in ipairs({ "agent", "## Writes", "{{ topic", "text(100)", "Write about" }) do
    local place = go(word)
    local group = vim.fn.synIDattr(vim.fn.synIDtrans(vim.fn.synID(place.line + 1, place.column + 1, 1)), "name")
    seen.syntax[word] = group
  end

  -- the language server
  client = vim.lsp.start_client({
    name = "mas",
    cmd = { vim.env.MAS_PYTHON, "-m", "masdsl", "lsp" },
    root_dir = vim.fn.fnamemodify(vim.env.MAS_FILE, ":h"),
  })
  assert(client, "the client did not start")
  vim.lsp.buf_attach_client(0, client)
  wait("the server", function()
    local one = vim.lsp.get_client_by_id(client)
    return one and one.initialized
  end)
  wait("diagnostics", function()
    return #vim.diagnostic.get(0) > 0
  end)
  seen.diagnostics = codes()

  go("topics", 1)
  local range = vim.lsp.util.make_range_params(0, "utf-16")
  range.context = { diagnostics = {} }
  for _, action in ipairs(ask("textDocument/codeAction", range) or {}) do
    if action.edit and action.title:find("topic", 1, true) then
      seen.action = action.title
      vim.lsp.util.apply_workspace_edit(action.edit, "utf-16")
      break
    end
  end
  wait("the diagnostics after the fix", function()
    return #vim.diagnostic.get(0) == 0
  end)
  seen.fixed = lines()

  -- typed letter by letter: parts of the text change
  go("  return draft")
  vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes("O  other = wri<Esc>", true, false, true), "tx", false)
  wait("diagnostics of what is half typed", function()
    return #vim.diagnostic.get(0) > 0
  end)
  vim.api.nvim_win_set_cursor(0, { go("  other = wri").line + 1, #"  other = wri" })
  local params = here()
  params.position.character = #"  other = wri"
  local offered = ask("textDocument/completion", params)
  seen.completion = {}
  for _, item in ipairs(offered.items or offered) do
    table.insert(seen.completion, item.label)
  end
  vim.cmd("undo")
  wait("the diagnostics after undoing", function()
    return #vim.diagnostic.get(0) == 0
  end)

  go("draft = writer(topic)", #"draft = w")
  local hover = ask("textDocument/hover", here())
  seen.hover = table.concat(vim.lsp.util.convert_input_to_markdown_lines(hover.contents), "\n")
  seen.definition = ask("textDocument/definition", here()).range.start.line
  go("draft = writer(topic)", #"draft = writer(")
  seen.signature = ask("textDocument/signatureHelp", here()).signatures[1].label

  go("draft = writer(topic)", #"draft = w")
  vim.lsp.buf.rename("author")
  wait("the rename", function()
    return not lines():find("writer", 1, true)
  end)
  seen.renamed = lines()

  vim.api.nvim_buf_set_lines(0, -1, -1, false, { "", "", "", "type   Mood=happy|sad" })
  local formatting = { textDocument = { uri = uri_of(0) }, options = { tabSize = 2, insertSpaces = true } }
  vim.lsp.util.apply_text_edits(ask("textDocument/formatting", formatting), 0, "utf-16")
  seen.formatted = lines()

  -- the tree-sitter grammar
  if vim.env.MAS_PARSER then
    if vim.treesitter.language and vim.treesitter.language.add then
      vim.treesitter.language.add("mas", { path = vim.env.MAS_PARSER })
    else
      vim.treesitter.require_language("mas", vim.env.MAS_PARSER)
    end
    local tree = vim.treesitter.get_parser(0, "mas"):parse()[1]
    seen.tree_is_clean = not tree:root():has_error()
    local text = table.concat(vim.fn.readfile(vim.env.MAS_QUERIES .. "/highlights.scm"), "\n")
    local parse = vim.treesitter.query and vim.treesitter.query.parse or vim.treesitter.parse_query
    local query = parse("mas", text)
    seen.captures = {}
    for id in query:iter_captures(tree:root(), 0, 0, -1) do
      seen.captures[query.captures[id]] = true
    end
  end

  vim.lsp.stop_client(client)
  wait("the end of the server", function()
    local one = vim.lsp.get_client_by_id(client)
    return one == nil or one.is_stopped()
  end)
  seen.stopped = true
end

local fine, why = xpcall(drive, debug.traceback)
if not fine then
  seen.failed = why
end
local encode = vim.json and vim.json.encode or vim.fn.json_encode
vim.fn.writefile({ encode(seen) }, vim.env.MAS_SEEN)
vim.cmd("qall!")
