-- JSON. Each function returns the index behind what it read, or nil, the fault, and the path to it from here.

local DEEPEST = 32

local ESCAPES = { [34] = true, [47] = true, [92] = true, [98] = true, [102] = true, [110] = true, [114] = true, [116] = true, [117] = true }

local function skip(s, i)
  local c = byte(s, i)
  while c == 32 or c == 10 or c == 13 or c == 9 do
    i = i + 1
    c = byte(s, i)
  end
  return i, c
end

local function closing(s, i)
  while true do
    local j = find(s, '["\\%z\1-\31]', i)
    if not j then return nil end
    local c = byte(s, j)
    if c == 34 then return j end
    if c ~= 92 or not ESCAPES[byte(s, j + 1)] then return nil end
    i = j + 2
  end
end

local function plain(key)
  if not find(key, "\\", 1, true) then return key end
  return (gsub(gsub(key, "\\u00(%x%x)", function(hex) return char(tonumber(hex, 16)) end), "\\(.)", "%1"))
end

local function joined(head, tail)
  if tail == "" then return head end
  return byte(tail) == 91 and head .. tail or head .. "." .. tail
end

local SYNTAX = { reason = "JSON_MALFORMED", text = "The body is not JSON." }
local DEEP = { reason = "JSON_MALFORMED", text = "The body is nested too deep." }
local TWICE = { reason = "JSON_MALFORMED", text = "is given twice" }
local UNKNOWN = { reason = "UNKNOWN_FIELD", text = "is not a field of the contract" }

local function unfit(node)
  return { reason = "JSON_MALFORMED", text = "must be " .. node.what }
end

local value

local function object(s, i, node, depth)
  local fields, of, seen, c = node and node.fields, node and node.of, {}, nil
  i, c = skip(s, i + 1)
  if c == 125 then return i + 1 end
  while true do
    if c ~= 34 then return nil, SYNTAX, "" end
    local j = closing(s, i + 1)
    if not j then return nil, SYNTAX, "" end
    local key, inner = plain(sub(s, i + 1, j - 1)), of
    if fields then
      inner = fields[key]
      if inner == nil then return nil, UNKNOWN, key end
      local name = canonical(key)
      if seen[name] then return nil, TWICE, key end
      seen[name] = true
    end
    i, c = skip(s, j + 1)
    if c ~= 58 then return nil, SYNTAX, "" end
    local after, fault, path = value(s, i + 1, inner, depth)
    if not after then return nil, fault, joined(key, path) end
    i, c = skip(s, after)
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
    local j = closing(s, i + 1)
    if not j then return nil, SYNTAX, "" end
    if kind and kind ~= "free" and (kind ~= "scalar" or node.test == "bool" or node.test ~= "string" and not is_of_kind(node, sub(s, i + 1, j - 1))) then
      return nil, unfit(node), ""
    end
    return j + 1
  end
  local from, to = find(s, "^[%w%+%-%.]+", i)
  if not from then return nil, SYNTAX, "" end
  local word = sub(s, from, to)
  if word == "null" then return to + 1 end
  local is_bool = BARE[word]
  if not is_bool and not is_number(word) then return nil, SYNTAX, "" end
  if kind and kind ~= "free" then
    local fits = kind == "scalar" and (is_bool and node.test == "bool" or not is_bool and NUMERIC[node.test] and is_of_kind(node, word))
    if not fits then return nil, unfit(node), "" end
  end
  return to + 1
end

local function check_body(s, node)
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
