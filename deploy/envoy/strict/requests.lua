-- Requests: finds the requested RPC, and checks headers, path, query and announced length against its rule. Nothing here
-- waits for a body: a caller without permission is refused before it comes.

-- The query of an OAuth endpoint without parameters that it does not know, which RFC 6749 has it ignore (section 3.1). Not
-- `request`, which may say more than is understood.
local function known_parameters(query, allowed)
  local kept = {}
  for pair in string.gmatch(query, "[^&]+") do
    local name = decoded(match(pair, "^[^=]*"))
    if allowed[name] or name == "request" then kept[#kept + 1] = pair end
  end
  return table.concat(kept, "&")
end

local function check_query(query, allowed)
  local seen = {}
  for pair in string.gmatch(query, "[^&]+") do
    local name, text = match(pair, "^([^=]*)=?(.*)$")
    if find(pair, "%%%X") or find(pair, "%%%x%X") or find(pair, "%%%x?$") then
      return { reason = "REQUEST_INVALID", text = "holds a % that is not %25" }, decoded(name)
    end
    name = decoded(name)
    local node = allowed[name]
    if not node then
      return { reason = "UNKNOWN_QUERY_PARAMETER", text = "is not a query parameter of this path" }, name
    end
    local plain = canonical(name)
    if plain ~= name then SNAKE = true end
    text = decoded(text)
    if node.kind == "list" then
      node = node.of
    elseif seen[plain] then
      return { reason = "REQUEST_INVALID", text = "is given twice" }, name
    end
    seen[plain] = true
    if not is_utf8(text) or not is_of_kind(node, text, "query") then
      return { reason = "REQUEST_INVALID", text = "must be " .. node.what }, name
    end
  end
end

local MANY_HEADERS = { reason = "HEADERS_TOO_LARGE", text = "The headers are larger than 32 KiB, or more than 100." }
local NO_ROUTE = { reason = "ROUTE_NOT_FOUND", text = "There is no such path." }
local WATCHED = { ["grpc-timeout"] = true, ["x-weft-client-traceparent"] = true }
for name in pairs(ONCE) do WATCHED[name] = true end
local HEADER = { reason = "HTTP_MALFORMED", text = "must be one line of visible ASCII" }

-- What HTTP lets a caller put into headers and gRPC does not, or takes for its own: the services would break the call off.
-- gRPC decodes headers named `-bin` before a service sees them, and answers what is no base64 without a reason; none is read.
local function is_foreign(name, text, native)
  if find(name, "[^a-z0-9_.:-]") then return true end
  if byte(name) ~= 58 and find(text, "[^\32-\126]") then return true end
  return sub(name, -4) == "-bin" or not native and name == "grpc-encoding"
end

-- Takes foreign headers away. Returns those that matter here, or nil where there are more than is promised, the name of one
-- that may come once and did not, and the bytes of all. They are checked one by one only where one of them is foreign.
local function tidy(headers, native)
  local names, texts, known, count, broken = {}, {}, {}, 0, nil
  for name, text in pairs(headers) do
    count = count + 1
    names[count], texts[count] = name, text
    if WATCHED[name] then
      if ONCE[name] and (known[name] or name ~= "idempotency-key" and find(text, ",", 1, true)) then broken = broken or name end
      known[name] = text
    end
  end
  local all_names, all_texts = table.concat(names, " ") .. " ", table.concat(texts)
  -- Anchored: else each byte begins a search of its own, at three times the cost.
  if not find(all_names, "^[a-z0-9_.: -]*$") or not find(all_texts, "^[\32-\126]*$")
    or find(all_names, "-bin ", 1, true) or not native and find(all_names, "grpc-encoding ", 1, true) then
    for place, name in ipairs(names) do
      if is_foreign(name, texts[place], native) then
        if ONCE[name] then broken = broken or name else headers:remove(name) end
      end
    end
  end
  local bytes = #all_names - count + #all_texts
  return bytes <= HEADER_BYTES and count <= HEADERS and known or nil, broken, bytes
end

local TRACEPARENT = "^00%-" .. string.rep("[0-9a-f]", 32) .. "%-" .. string.rep("[0-9a-f]", 16) .. "%-[0-9a-f][0-9a-f]$"

-- the headers that callers write in more than one way, as the filters behind this one and the services read them
local function put_right(headers, known, native)
  local token = known["authorization"]
  if token and not find(token, "^Bearer [^ ]") then
    token = match(token, "^[bB][eE][aA][rR][eE][rR] +(.*)$")
    if token then headers:replace("authorization", "Bearer " .. token) end
  end
  local link = known["x-weft-client-traceparent"]
  if link and (not find(link, TRACEPARENT) or find(link, "-0+-")) then headers:remove("x-weft-client-traceparent") end
  local timeout = known["grpc-timeout"]
  if timeout and not native and not (#timeout < 10 and find(timeout, "^%d+[HMSmun]$")) then headers:remove("grpc-timeout") end
end

-- Sets the requested RPC, which alone decides about token, limit, bound of the body and route, and the number of bytes that
-- the edge may have to hold for the request.
local function settle(handle, headers, rpc, bytes, length)
  local largest = LARGEST[rpc]
  if not largest then return end
  headers:replace("x-weft-rpc", rpc)
  headers:replace("x-weft-holds", tostring(math.max(bytes, MIN_REQUEST_BYTES) + (STREAMS[rpc] or length or largest + FRAME_BYTES)))
  local timeout = STREAMS[rpc] and headers:get("grpc-timeout")
  if timeout then
    headers:replace("x-weft-timeout", timeout)
    headers:remove("grpc-timeout")
  end
  handle:clearRouteCache()
end

local function native_call(handle, headers, known, broken, bytes)
  if not known then return handle:respond({ [":status"] = "431" }, "") end -- local_replies says it as gRPC does
  if broken then
    return handle:respond({
      [":status"] = "200",
      ["content-type"] = "application/grpc",
      ["grpc-status"] = "3",
      ["grpc-message"] = broken .. " " .. HEADER.text .. ".",
      ["grpc-status-details-bin"] = ONCE[broken],
    })
  end
  put_right(headers, known, true)
  return settle(handle, headers, headers:get(":path"), bytes)
end

local function methods_of(rules)
  local names = { "OPTIONS" }
  for name, rule in pairs(rules) do
    names[#names + 1] = name
    if name == "GET" and not rules.HEAD and not rule.streams then names[#names + 1] = "HEAD" end
  end
  table.sort(names)
  return table.concat(names, ", ")
end

-- the answer for a method that the path does not have
local function other_method(handle, path, rules, method)
  local allow = methods_of(rules)
  if method == "OPTIONS" then return handle:respond({ [":status"] = "204", ["allow"] = allow }) end
  local fault = { reason = "METHOD_NOT_ALLOWED", text = "The path takes " .. allow .. "." }
  return refuse(handle, path, fault, "allow", allow, false, allow)
end

-- the rule by which a path is logged where it has none for the method: always the same of its rules
local function any_of(rules)
  local first
  for name in pairs(rules) do
    if not first or name < first then first = name end
  end
  return rules[first]
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local kind = headers:get("content-type")
  local native = kind and (kind == "application/grpc" or sub(kind, 1, 17) == "application/grpc+")
  if is_refused_often(handle) then return handle:respond({ [":status"] = "429", ["retry-after"] = "1" }, "") end
  local known, broken, bytes = tidy(headers, native)
  if native then return native_call(handle, headers, known, broken, bytes) end
  local method = headers:get(":method")
  local path, query = match(headers:get(":path") or "/", "^([^?]*)%??(.*)$")
  if not known then return refuse(handle, path, MANY_HEADERS) end
  if broken then return refuse(handle, path, HEADER, nil, broken, true) end
  put_right(headers, known, false)
  local reads = method == "HEAD" and "GET" or method
  local rules, parts = rules_of(path, reads)
  if not rules then
    if not is_static(path) then return refuse(handle, path, NO_ROUTE) end
    if method == "GET" or method == "HEAD" then return end
    return other_method(handle, path, { GET = {} }, method)
  end
  local rule = rules[reads]
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("weft", "path", shown(rule or any_of(rules), parts))
  if not rule or method == "HEAD" and rule.streams then return other_method(handle, path, rules, method) end
  if not is_utf8(unescaped(path)) then
    return refuse(handle, path, { reason = "REQUEST_INVALID", text = "The path is not UTF-8." })
  end
  SNAKE = false
  if query ~= "" and sub(path, 1, 8) == "/oauth2/" then
    query = known_parameters(query, rule.query)
    headers:replace(":path", query == "" and path or path .. "?" .. query)
  end
  if query ~= "" then
    local fault, name = check_query(query, rule.query)
    if fault then
      return refuse(handle, path, fault, fault.reason == "UNKNOWN_QUERY_PARAMETER" and "parameter" or nil, name, true)
    end
  end
  local announced = headers:get("content-length")
  local length = announced and tonumber(announced)
  if length and length > LARGEST[rule.rpc] then return refuse_large(handle, path, rule) end
  if SNAKE then metadata:set("weft", "snake", "1") end
  if method == "HEAD" then
    HEADS = true
    metadata:set("weft", "head", "1")
    headers:replace(":method", "GET")
  end
  return settle(handle, headers, rule.rpc, bytes, length)
end
