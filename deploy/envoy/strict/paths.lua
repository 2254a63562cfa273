-- Paths: which rule one has, and how it may be written down.

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

-- The rules of a path, and its parts without the verb. A colon begins a verb, the transcoder holds; in an id it is escaped.
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
  if verb then
    if not VERBS[verb] then return nil end
    parts[count] = head
  end
  for _, part in ipairs(parts) do
    if find(part, ":", 1, true) then return nil end
  end
  return descend(TREE, parts, 1, verb or "", method) or descend(TREE, parts, 1, verb or ""), parts
end

local function is_static(path)
  for prefix, exact in pairs(STATIC) do
    if path == prefix or not exact and sub(path, 1, #prefix + 1) == prefix .. "/" then return true end
  end
  return false
end

local ID = "^%l+_[0-7]" .. string.rep("[0-9a-hjkmnp-tv-z]", 25) .. "$"

-- the path for logs and spans: ids as they are, other values replaced by the variable's name, because they may be anything
local function shown(rule, parts)
  local variables = rule.variables
  if not variables then return rule.path end
  return (gsub(rule.path, "{[^}]+}", function(name)
    local part = parts[variables[name]]
    return (part == "me" or find(part, ID)) and part or nil
  end))
end
