-- Requests: which rule a path has, whether query and body keep to it, and how the edge refuses.

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
