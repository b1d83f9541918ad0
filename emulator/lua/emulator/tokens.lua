--- The tokens that were issued: what for, to whom, and until when they are good.

local clock = require "emulator.clock"

local tokens = {}

--- Seconds that a token lasts, and that it takes to get one. `life` by `--token-life`.
tokens.defaults = {life = 3600, delay = 0}

local issued, settings

function tokens.reset()
  issued, settings = {}, {}
  for name, value in pairs(tokens.defaults) do settings[name] = value end
end

--- Sets what is given; a null gives a default back.
function tokens.configure(wishes, null)
  for name in pairs(tokens.defaults) do
    if wishes[name] == null then settings[name] = tokens.defaults[name]
    elseif wishes[name] then settings[name] = wishes[name] end
  end
  if wishes.revoke == true then
    for _, token in pairs(issued) do token.ends = 0 end
  end
end

function tokens.life()
  return settings.life
end

function tokens.delay()
  return settings.delay
end

local function random_bytes(count)
  local bytes = {}
  for i = 1, count do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

local function base64url(text)
  return (ngx.encode_base64(text, true):gsub("+", "-"):gsub("/", "_"))
end

-- It looks like a JWT, and has the length of a short one.
local function new_text()
  return table.concat({base64url '{"typ":"JWT","alg":"none"}', base64url(random_bytes(160)),
    base64url(random_bytes(40))}, ".")
end

--- A new token for an audience ("https://cloudpartner.azure.com").
function tokens.issue(audience, client)
  local text = new_text()
  issued[text] = {ends = clock.now() + settings.life, audience = audience, client = client}
  return text
end

local OF_THE_SERVICE = "https://cloudpartner.azure.com"

--- What is wrong with a token: "unauthorized", "forbidden", or nil. Whoever is known by
-- another text than one that was issued is welcome.
function tokens.fault(text, origin)
  local token = issued[text]
  if not token then return nil end
  local meant = token.audience == origin or token.audience == OF_THE_SERVICE
  if not meant or clock.now() >= token.ends then return "unauthorized" end
  if token.client == "forbidden" then return "forbidden" end
end

tokens.reset()

return tokens
