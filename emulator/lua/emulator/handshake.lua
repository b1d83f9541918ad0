--- TLS handshakes that go wrong by order. nginx calls this for each of them: sessions are
-- not resumed, so every connection has one.

local ledger = require "emulator.ledger"
local queue = require "emulator.queue"
local ssl = require "ngx.ssl"

--- `enabled`: does this server speak TLS at all?
local handshake = {enabled = false}

local orders = queue.new()

function handshake.reset()
  orders:reset()
end

function handshake.order(order)
  orders:add(order)
end

function handshake.pending()
  return orders:pending()
end

local function read(name)
  local file = assert(io.open(ngx.config.prefix() .. name, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- The server's own key goes with every certificate.
local function present(certificate)
  assert(ssl.clear_certs())
  assert(ssl.set_cert(assert(ssl.parse_pem_cert(read(certificate .. ".pem")))))
  assert(ssl.set_priv_key(assert(ssl.parse_pem_priv_key(read "server.key"))))
end

--- Before the server's certificate is sent.
function handshake.begin()
  local order = orders:take(function() return true end)
  if not order then return end
  ledger.fault()
  if order.certificate then return present(order.certificate) end
  return ngx.exit(ngx.ERROR)
end

return handshake
