-- Requests: which RPC the headers ask for, and whether path, query and announced length keep to its rule. Nothing here waits
-- for a body: who may not call is refused before it comes.

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

local MANY_HEADERS = { reason = "HEADERS_TOO_LARGE", text = "The headers are larger than 32 KiB, or more than 100." }
local NO_ROUTE = { reason = "ROUTE_NOT_FOUND", text = "There is no such path." }

-- whether headers keep to what is promised
local function are_few(headers)
  local bytes, count = 0, 0
  for name, value in pairs(headers) do
    bytes, count = bytes + #name + #value, count + 1
  end
  return bytes <= HEADER_BYTES and count <= HEADERS
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

-- says which RPC is asked for: token, limit, bound of the body and the way on are chosen by it, and by it alone
local function settle(handle, headers, rpc)
  headers:replace("x-weft-rpc", rpc)
  handle:clearRouteCache()
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local kind = headers:get("content-type")
  local native = kind and (kind == "application/grpc" or sub(kind, 1, 17) == "application/grpc+")
  if not are_few(headers) then
    if native then return handle:respond({ [":status"] = "431" }, "") end -- local_replies says it as gRPC does
    return refuse(handle, headers:get(":path"), MANY_HEADERS)
  end
  if native then
    return settle(handle, headers, headers:get(":path"))
  end
  tidy(headers)
  local method = headers:get(":method")
  local path, query = match(headers:get(":path") or "/", "^([^?]*)%??(.*)$")
  local rules = rules_of(path, method)
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
  local length = tonumber(headers:get("content-length") or 0)
  if length and length > rule.largest then return refuse_large(handle, path, rule) end
  return settle(handle, headers, rule.rpc)
end
