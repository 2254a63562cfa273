-- What Envoy's transcoder lets pass, refused: unknown paths, methods, query parameters, content types and body fields.
-- What it cannot say, said: success codes, and one error shape. On transcoded requests only; native gRPC passes by.
--
-- Two sources: edge.lua of values, refusals, requests, replies, and bodies.lua of values, refusals, json, bodies. The
-- generator puts tables before each: R (rules), EXACT and TREE (path to HTTP method to rule), VERBS, STATIC,
-- HEADER_BYTES and HEADERS (the most of a request's).
-- A rule is {rpc = path, largest = bytes, verb = "", query = {name = node}, body = node or "raw", bound = {name = k}}: the
-- body's field `name` is the path's k-th part; a "raw" body (google.api.HttpBody) passes untouched.
-- A node describes a value: {kind = "message", fields = {name = node}} | "list" | "map" (of = node) | "object" | "array" |
-- "free" | a scalar {kind = "scalar", test = name, names = {…} for an enum, what = "a whole number"}.
--
-- Values: whether a text, as it stands in JSON or in a query, is of its kind. JSON's strings come without quotes.

local byte, find, sub, match, gsub, char = string.byte, string.find, string.sub, string.match, string.gsub, string.char

local function unescaped(text)
  return (gsub(text, "%%(%x%x)", function(hex) return char(tonumber(hex, 16)) end))
end

local function decoded(text)
  return unescaped((gsub(text, "%+", " ")))
end

-- RFC 8259, section 6
local function is_number(text)
  if find(text, "^%-?[1-9]%d*$") then return true end
  local rest = match(text, "^%-?[1-9]%d*(.*)$") or match(text, "^%-?0(.*)$")
  if not rest then return false end
  rest = gsub(rest, "^%.%d+", "")
  return gsub(rest, "^[eE][%+%-]?%d+", "") == ""
end

local function whole(low, high)
  return function(text)
    local number = is_number(text) and tonumber(text)
    return number and number % 1 == 0 and number >= low and number <= high
  end
end

local PARTS -- of the path that is being checked; nothing yields between setting and reading
local BARE = { ["true"] = true, ["false"] = true }
local TESTS = {
  int32 = whole(-2147483648, 2147483647),
  uint32 = whole(0, 4294967295),
  int64 = whole(-9223372036854775808, 9223372036854775807),
  uint64 = whole(0, 18446744073709551615),
  number = function(text)
    return text == "NaN" or text == "Infinity" or text == "-Infinity" or is_number(text)
  end,
  bool = function(text) return BARE[text] ~= nil end,
  bytes = function(text) return find(text, "^[%w%+/%-_]*=?=?$") ~= nil end,
  timestamp = function(text)
    return find(text, "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.?%d*Z$") ~= nil
      or find(text, "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.?%d*[%+%-]%d%d:%d%d$") ~= nil
  end,
  duration = function(text) return find(text, "^%-?%d+%.?%d*s$") ~= nil end,
  path = function(text, node) return text == "" or text == unescaped(PARTS[node.part]) end,
  enum = function(text, node) return node.names[text] or find(text, "^%-?%d+$") ~= nil end,
}
local NUMERIC = { int32 = true, uint32 = true, int64 = true, uint64 = true, number = true, enum = true }

-- a body may repeat what the path says, and say nothing else; the transcoder sees that under proto names only
for _, rule in pairs(R) do
  if rule.bound then
    local fields = {}
    for name, node in pairs(rule.body.fields) do fields[name] = node end
    for name, part in pairs(rule.bound) do
      fields[name] = { kind = "scalar", test = "path", part = part, what = "what the path says" }
    end
    rule.body = { kind = "message", fields = fields, what = rule.body.what }
  end
end

local function is_of_kind(node, text)
  local test = TESTS[node.test]
  return test == nil or test(text, node) -- strings have none
end

-- order_id and orderId are one field
local function canonical(name)
  return find(name, "_", 1, true) and gsub(name, "_(%w)", string.upper) or name
end

-- RFC 3629
local function is_utf8(text)
  local i = find(text, "[\128-\255]")
  while i do
    local c = byte(text, i)
    local more = c >= 194 and c <= 223 and 1 or c >= 224 and c <= 239 and 2 or c >= 240 and c <= 244 and 3
    if not more or not find(text, "^" .. string.rep("[\128-\191]", more), i + 1) then return false end
    local second = byte(text, i + 1)
    if c == 224 and second < 160 or c == 237 and second > 159 or c == 240 and second < 144 or c == 244 and second > 143 then
      return false
    end
    i = find(text, "[\128-\255]", i + 1 + more)
  end
  return true
end
