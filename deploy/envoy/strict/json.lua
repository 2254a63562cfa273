-- JSON. Each function returns the index behind what it read, or nil, the fault, and the path to it from here.

local DEEPEST = 32
local SOUND -- whether the whole body is UTF-8; else each string is checked, so that the broken one is named

local MEANS = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function skip(s, i)
  local c = byte(s, i)
  while c == 32 or c == 10 or c == 13 or c == 9 do
    i = i + 1
    c = byte(s, i)
  end
  return i, c
end

-- where the string that begins at i ends, and whether it holds escapes
local function closing(s, i)
  local escaped = false
  while true do
    local j = match(s, '^[^"\\%z\1-\31]*()', i) -- anchored: a third of what a search from each byte costs
    local c = byte(s, j)
    if c == 34 then return j, escaped end
    if c ~= 92 then return nil end
    escaped, i = true, j + 2
  end
end

local function utf8(code)
  if code < 128 then return char(code) end
  if code < 2048 then return char(192 + math.floor(code / 64), 128 + code % 64) end
  local low = char(128 + math.floor(code / 64) % 64, 128 + code % 64)
  if code < 65536 then return char(224 + math.floor(code / 4096)) .. low end
  return char(240 + math.floor(code / 262144), 128 + math.floor(code / 4096) % 64) .. low
end

-- the code point of the \u whose digits begin at i, and what follows it; nil for half of a surrogate pair
local function point(text, i)
  local code = tonumber(match(text, "^%x%x%x%x", i) or "", 16)
  if not code or code < 55296 or code > 57343 then return code, i + 4 end
  local low = tonumber(match(text, "^\\u(%x%x%x%x)", i + 4) or "", 16)
  if code > 56319 or not low or low < 56320 or low > 57343 then return nil end
  return 65536 + (code - 55296) * 1024 + low - 56320, i + 10
end

-- what a string with escapes means; nil where that is nothing
local function meaning(text)
  local found, from, at = {}, 1, find(text, "\\", 1, true)
  while at do
    local mark = sub(text, at + 1, at + 1)
    found[#found + 1] = sub(text, from, at - 1)
    from = at + 2
    if mark == "u" then
      local code
      code, from = point(text, from)
      if not code then return nil end
      found[#found + 1] = utf8(code)
    else
      if not MEANS[mark] then return nil end
      found[#found + 1] = MEANS[mark]
    end
    at = find(text, "\\", from, true)
  end
  found[#found + 1] = sub(text, from)
  return table.concat(found)
end

local function joined(head, tail)
  if tail == "" then return head end
  return byte(tail) == 91 and head .. tail or head .. "." .. tail
end

local SYNTAX = { reason = "JSON_MALFORMED", text = "The body is not JSON." }
local DEEP = { reason = "JSON_MALFORMED", text = "The body is nested too deep." }
local TWICE = { reason = "JSON_MALFORMED", text = "is given twice" }
local BESIDE = { reason = "JSON_MALFORMED", text = "is given beside another field that excludes it" }
local NULL = { reason = "JSON_MALFORMED", text = "must not be null; leave it out instead" }
local TEXT = { reason = "JSON_MALFORMED", text = "must be text in UTF-8, with escapes that JSON has" }
local HUGE = { reason = "JSON_MALFORMED", text = "must be a finite number" }
local UNKNOWN = { reason = "UNKNOWN_FIELD", text = "is not a field of the contract" }

local function unfit(node)
  return { reason = "JSON_MALFORMED", text = "must be " .. node.what }
end

local value

-- the node of a field's value, or nil and what is wrong with its name
local function named(node, key, seen)
  local inner = node.fields[key]
  if inner == nil then return nil, UNKNOWN end
  local name, one = canonical(key), node.oneofs and node.oneofs[key]
  if name ~= key then SNAKE = true end
  if seen[name] then return nil, TWICE end
  if one then
    one = "oneof " .. one -- which no field is called
    if seen[one] then return nil, BESIDE end
    seen[one] = true
  end
  seen[name] = true
  return inner
end

local function object(s, i, node, depth)
  local fields, of, seen, c = node and node.fields, node and node.of, {}, nil
  i, c = skip(s, i + 1)
  if c == 125 then return i + 1 end
  while true do
    if c ~= 34 then return nil, SYNTAX, "" end
    local j, escaped = closing(s, i + 1)
    if not j then return nil, SYNTAX, "" end
    local key, inner, fault, path = sub(s, i + 1, j - 1), of, nil, nil
    if escaped then
      local meant = meaning(key)
      if not meant then return nil, TEXT, key end
      key = meant
    end
    if fields then
      inner, fault = named(node, key, seen)
    elseif seen[key] then
      fault = TWICE
    elseif not SOUND and not is_utf8(key) then
      fault = TEXT
    elseif node and node.keys and not is_of_kind(node.keys, key, true) then
      fault = unfit(node.keys)
    else
      seen[key] = true
    end
    if fault then return nil, fault, key == "" and '""' or key end
    i, c = skip(s, j + 1)
    if c ~= 58 then return nil, SYNTAX, "" end
    i, fault, path = value(s, i + 1, inner, depth)
    if not i then return nil, fault, joined(key, path) end
    i, c = skip(s, i)
    if c == 125 then return i + 1 end
    if c ~= 44 then return nil, SYNTAX, "" end
    i, c = skip(s, i + 1)
  end
end

local function array(s, i, node, depth)
  local of, index, c = node and node.of, 0, nil
  i, c = skip(s, i + 1)
  if c == 93 then return i + 1 end
  while true do
    local after, fault, path = value(s, i, of, depth)
    if not after then return nil, fault, joined("[" .. index .. "]", path) end
    i, c = skip(s, after)
    if c == 93 then return i + 1 end
    if c ~= 44 then return nil, SYNTAX, "" end
    i, index = i + 1, index + 1
  end
end

local HOLDS_OBJECT = { message = true, map = true, object = true, free = true }
local HOLDS_ARRAY = { list = true, array = true, free = true }

-- a string that begins at i, behind its quote
local function text(s, i, node)
  local kind = node and node.kind
  local j, escaped = closing(s, i)
  if not j then return nil, SYNTAX, "" end
  if kind and kind ~= "free" and (kind ~= "scalar" or node.test == "bool") then return nil, unfit(node), "" end
  local tested = kind == "scalar" and node.test ~= "string"
  if tested or escaped or not SOUND then
    local meant = sub(s, i, j - 1)
    if escaped then meant = meaning(meant) end
    if not meant or not SOUND and not is_utf8(meant) then return nil, TEXT, "" end
    if tested and not is_of_kind(node, meant, true) then return nil, unfit(node), "" end
  end
  return j + 1
end

function value(s, i, node, depth)
  local c
  i, c = skip(s, i)
  local kind = node and node.kind
  if depth > DEEPEST then return nil, DEEP, "" end
  if c == 123 then
    if kind and not HOLDS_OBJECT[kind] then return nil, unfit(node), "" end
    return object(s, i, node, depth + 1)
  elseif c == 91 then
    if kind and not HOLDS_ARRAY[kind] then return nil, unfit(node), "" end
    return array(s, i, node, depth + 1)
  elseif c == 34 then
    return text(s, i + 1, node)
  end
  local from, to = find(s, "^[%w%+%-%.]+", i)
  if not from then return nil, SYNTAX, "" end
  local word = sub(s, from, to)
  if word == "null" then
    if kind and kind ~= "free" and kind ~= "null" then return nil, NULL, "" end
    return to + 1
  end
  local is_bool = BARE[word]
  if not is_bool and not find(word, "^%-?%d") then return nil, SYNTAX, "" end
  if kind and kind ~= "free" then
    local fits = kind == "scalar" and (is_bool and node.test == "bool" or not is_bool and NUMERIC[node.test] and is_of_kind(node, word))
    if not fits then return nil, unfit(node), "" end
  elseif not is_bool and not is_number(word) then
    return nil, math.abs(tonumber(word) or 0) == math.huge and HUGE or SYNTAX, ""
  end
  return to + 1
end

local function check_body(s, node)
  SNAKE, SOUND = false, is_utf8(s)
  local i, c = skip(s, 1)
  if c ~= 123 then
    if c == nil then return SYNTAX, "" end
    local _, fault = value(s, i, nil, 0)
    return fault or { reason = "JSON_MALFORMED", text = "The body must be a JSON object." }, ""
  end
  local after, fault, path = value(s, i, node, 0)
  if not after then return fault, (fault == SYNTAX or fault == DEEP) and "" or path end
  i, c = skip(s, after)
  if c then return SYNTAX, "" end
end
