-- What Envoy's transcoder lets pass, refused: unknown paths, methods, query parameters, content types and body fields.
-- What it cannot say, said: success codes, and one error shape. On transcoded requests only; native gRPC passes by.
--
-- The generator puts tables before this text: R (rules), EXACT and TREE (path to HTTP method to rule), VERBS, STATIC.
-- A rule is {query = {name = node}, body = node or "raw", bound = {name = k}}: the body's field `name` is the path's k-th
-- part; a "raw" body (google.api.HttpBody) passes untouched.
-- A node describes a value: {kind = "message", fields = {name = node}} | "list" | "map" (of = node) | "object" | "array" |
-- "free" | a scalar {kind = "scalar", test = name, names = {…} for an enum, what = "a whole number"}.

local byte, find, sub, match, gsub, char = string.byte, string.find, string.sub, string.match, string.gsub, string.char
local DEEPEST = 32

-- Scalars: whether a text, as it stands in JSON or in a query, is of the kind. JSON's own strings come without quotes.

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

-- JSON. Each function returns the index behind what it read, or nil, the fault, and the path to it from here.

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

-- Paths and queries.

-- the rules of the node that parts lead to, literals first; where a method is given, only of one that has it
local function descend(node, parts, k, verb, method)
  local part = parts[k]
  if part == nil then
    local rules = node.verbs and node.verbs[verb]
    return rules and (method == nil or rules[method]) and rules or nil
  end
  local literal = node.literals and node.literals[part]
  return literal and descend(literal, parts, k + 1, verb, method)
    or node.any and descend(node.any, parts, k + 1, verb, method)
    or node.rest and descend(node.rest, parts, #parts + 1, verb, method)
end

-- the rules of a path, and its parts without the verb
local function rules_of(path, method)
  local exact = EXACT[path]
  if exact and exact[method] then return exact end
  if byte(path, -1) == 47 or find(path, "//", 1, true) then return nil end
  local parts, count = {}, 0
  for part in string.gmatch(path, "[^/]+") do
    count = count + 1
    parts[count] = part
  end
  local last = parts[count]
  if not last then return nil end
  local head, verb = match(last, "^(.+):([^:]*)$")
  if verb and VERBS[verb] then
    parts[count] = head
    local found = descend(TREE, parts, 1, verb, method) or descend(TREE, parts, 1, verb)
    if found then return found, parts end
    parts[count] = last
  end
  return descend(TREE, parts, 1, "", method) or descend(TREE, parts, 1, ""), parts
end

local function is_static(path)
  for prefix, exact in pairs(STATIC) do
    if path == prefix or not exact and sub(path, 1, #prefix + 1) == prefix .. "/" then return true end
  end
  return false
end

local function check_query(query, allowed)
  local seen = {}
  for pair in string.gmatch(query, "[^&]+") do
    local name, text = match(pair, "^([^=]*)=?(.*)$")
    name = decoded(name)
    local node = allowed[name]
    if not node then
      return { reason = "UNKNOWN_QUERY_PARAMETER", text = "is not a query parameter of this path" }, name
    end
    text = decoded(text)
    if node.kind == "list" then
      node = node.of
    elseif seen[canonical(name)] then
      return { reason = "REQUEST_INVALID", text = "is given twice" }, name
    end
    seen[canonical(name)] = true
    if not is_utf8(text) or not is_of_kind(node, text) then
      return { reason = "REQUEST_INVALID", text = "must be " .. node.what }, name
    end
  end
end

-- Answers.

local function quoted(text)
  text = gsub(sub(text, 1, 200), "[\128-\255]", "?")
  return (gsub(gsub(text, '[\\"]', "\\%0"), "%c", " "))
end

local HTTP = { ROUTE_NOT_FOUND = "404", METHOD_NOT_ALLOWED = "405", CONTENT_TYPE_UNSUPPORTED = "415" }
local CODE = { ROUTE_NOT_FOUND = 5, METHOD_NOT_ALLOWED = 12 }
local TYPE = '{"@type":"type.googleapis.com/google.rpc.'

-- fault is {reason, text}; key names the metadata, name its value; violation says whether name is a field of the request
local function refuse(handle, path, fault, key, name, violation, allow)
  local reason, message = fault.reason, fault.text
  if violation and name ~= "" then message = quoted(name) .. " " .. message .. "." end
  local body
  if sub(path, 1, 8) == "/oauth2/" then
    body = '{"error":"invalid_request","error_description":"' .. gsub(message, '\\?"', "'") .. '"}'
  else
    local metadata = key and name ~= "" and '"' .. key .. '":"' .. quoted(name) .. '"' or ""
    local details = TYPE .. 'ErrorInfo","reason":"' .. reason .. '","domain":"weft.api.v1","metadata":{' .. metadata .. "}}"
    if violation and name ~= "" then
      details = details .. "," .. TYPE .. 'BadRequest","fieldViolations":[{"field":"' .. quoted(name) .. '","description":"'
        .. quoted(fault.text) .. '"}]}'
    end
    local id = handle:headers():get("x-request-id")
    if id then details = details .. "," .. TYPE .. 'RequestInfo","requestId":"' .. quoted(id) .. '"}' end
    body = '{"code":' .. (CODE[reason] or 3) .. ',"message":"' .. message .. '","details":[' .. details .. "]}"
  end
  local headers = { [":status"] = HTTP[reason] or "400", ["content-type"] = "application/json" }
  if allow then headers["allow"] = allow end
  handle:respond(headers, body)
end

local NO_ROUTE = { reason = "ROUTE_NOT_FOUND", text = "There is no such path." }

local function check_content(handle, path, rule, parts)
  if rule.body == "raw" then return end
  local body = handle:body()
  if not body or body:length() == 0 then return end
  if not rule.body then
    return refuse(handle, path, { reason = "JSON_MALFORMED", text = "The call takes no body." })
  end
  local headers = handle:headers()
  local kind = headers:get("content-type")
  local plain_json = kind and match(string.lower(kind), "^application/json%s*$") or kind and match(string.lower(kind), "^application/json%s*;")
  local encoding = headers:get("content-encoding")
  if not plain_json or encoding and encoding ~= "identity" then
    local fault = { reason = "CONTENT_TYPE_UNSUPPORTED", text = "The body must be application/json, not encoded." }
    return refuse(handle, path, fault, "expected", "application/json")
  end
  PARTS = parts
  local fault, field = check_body(body:getBytes(0, body:length()), rule.body)
  if fault then return refuse(handle, path, fault, fault.reason == "UNKNOWN_FIELD" and "field" or nil, field, true) end
end

-- what HTTP lets a caller name a header and gRPC does not, or takes for its own: the services would break the call off
local function tidy(headers)
  local foreign
  for name in pairs(headers) do
    if find(name, "[^a-z0-9_.:-]") or sub(name, -4) == "-bin" or name == "grpc-encoding" then
      foreign = foreign or {}
      foreign[#foreign + 1] = name
    end
  end
  if foreign then
    for _, name in ipairs(foreign) do headers:remove(name) end
  end
  local timeout = headers:get("grpc-timeout")
  if timeout and not (#timeout < 10 and find(timeout, "^%d+[HMSmun]$")) then headers:remove("grpc-timeout") end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local kind = headers:get("content-type")
  if kind and (kind == "application/grpc" or sub(kind, 1, 17) == "application/grpc+") then return end
  tidy(headers)
  local method = headers:get(":method")
  local path, query = match(headers:get(":path") or "/", "^([^?]*)%??(.*)$")
  local rules, parts = rules_of(path, method)
  if not rules then
    if not is_static(path) then return refuse(handle, path, NO_ROUTE) end
    rules = { GET = true, HEAD = true }
  end
  local rule = rules[method]
  if not rule then
    local names = {}
    for name in pairs(rules) do names[#names + 1] = name end
    table.sort(names)
    local allow = table.concat(names, ", ")
    return refuse(handle, path, { reason = "METHOD_NOT_ALLOWED", text = "The path takes " .. allow .. "." }, "allow", allow, false, allow)
  end
  if rule == true then return end
  if not is_utf8(unescaped(path)) then
    return refuse(handle, path, { reason = "REQUEST_INVALID", text = "The path is not UTF-8." })
  end
  if query ~= "" then
    local fault, name = check_query(query, rule.query)
    if fault then
      return refuse(handle, path, fault, fault.reason == "UNKNOWN_QUERY_PARAMETER" and "parameter" or nil, name, true)
    end
  end
  return check_content(handle, path, rule, parts)
end

-- Responses: the success code that the service names, an empty 204, and what gRPC's own errors lack.

local BARE_REASON = {
  ["4"] = "DEADLINE_EXPIRED", ["8"] = "OVERLOADED", ["12"] = "ROUTE_NOT_FOUND", ["14"] = "SERVICE_UNAVAILABLE",
}

-- an error of a service in the shape of its door; gRPC's own errors come without details
local function complete(handle, status)
  local body = handle:body()
  local headers = handle:headers()
  local text = body and body:getBytes(0, body:length()) or ""
  local code, shaped = match(text, '"code":(%d+)'), text
  if code then handle:streamInfo():dynamicMetadata():set("weft", "grpc_status", code) end
  if find(text, '^{"error"') then
    shaped = text
  elseif handle:metadata():get("oauth") then
    local message = match(text, '"message":"([^"\\]*)') or "The request could not be answered."
    local later = status == "429" or status == "503" or status == "504"
    local word = later and "temporarily_unavailable" or status >= "500" and "server_error" or "invalid_request"
    shaped = '{"error":"' .. word .. '","error_description":"' .. message .. '"}'
  elseif not find(text, "google.rpc.ErrorInfo", 1, true) then
    code = code or "13"
    shaped = '{"code":' .. code .. ',"message":"The call could not be answered.","details":[' .. TYPE .. 'ErrorInfo","reason":"'
      .. (BARE_REASON[code] or "INTERNAL_FAULT") .. '","domain":"weft.api.v1","metadata":{}}]}'
  end
  if (status == "429" or status == "503") and not headers:get("retry-after") then
    local delay = match(text, '"retryDelay":"(%d+)')
    headers:add("retry-after", delay and delay ~= "0" and delay or "1")
  end
  if shaped ~= text then
    headers:replace("content-type", "application/json")
    headers:replace("content-length", tostring(body and body:setBytes(shaped) or #shaped))
  end
end

local INTERNAL = { "grpc-status", "grpc-message", "grpc-accept-encoding" }

function envoy_on_response(handle)
  local headers = handle:headers()
  local kind = headers:get("content-type")
  if kind and sub(kind, 1, 16) == "application/grpc" then return end
  local named = headers:get("x-http-status")
  if named then
    headers:remove("x-http-status")
    if headers:get(":status") == "200" then headers:replace(":status", named) end
  end
  local status = headers:get(":status")
  for _, name in ipairs(INTERNAL) do headers:remove(name) end
  if status == "204" then
    -- A 204 that carries the `{}` of an empty reply corrupts keep-alive. Waiting for a body voids the headers at hand.
    local body = handle:body()
    if body then body:setBytes("") end
    headers = handle:headers()
    headers:remove("content-type")
    headers:remove("content-length")
  elseif status >= "400" and kind and sub(kind, 1, 16) == "application/json" then
    complete(handle, status)
  end
end
