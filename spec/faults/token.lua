--- What can go wrong with the token at each exchange, and what the contract says comes of
-- it. As in spec/faults/http.lua, but a row has what the caller's token function does:
-- `give()` is what it returns. `once`: a single call of it does, and the next one gives a
-- good token.

local outcomes = require "spec.faults.outcomes"

local live, adopted, open = outcomes.live, outcomes.adopted, outcomes.open
local unsent, refused, ended = outcomes.unsent, outcomes.refused, outcomes.ended

local looked_up = { once = adopted, always = open }

-- Without a token nothing is sent. A poll that was not sent is one that failed.
local no_token = {
  list = { once = unsent "credential" },
  submit = { once = unsent "credential" },
  look_up = looked_up,
  poll = { once = live, always = ended "credential" },
}

local function without_token(name, give)
  local row = { name = name, give = give }
  for exchange, expected in pairs(no_token) do row[exchange] = expected end
  return row
end

return {
  without_token("the function raises", function() error "no token today" end),
  without_token("the function gives nil and a message",
    function() return nil, "no token today" end),
  without_token("the function gives an empty text", function() return "" end),
  without_token("the function gives a text of two lines",
    function() return "secret\r\nX: 1" end),
  without_token("the function gives a number", function() return 42 end),
  {
    name = "the token has expired (401)", give = function() return "expired" end,
    list = { once = live, always = unsent "unauthorized" },
    submit = { once = live, always = refused "unauthorized" },
    look_up = looked_up,
    poll = { once = live, always = ended "unauthorized" },
  },
  {
    name = "the token is another user's (403)", give = function() return "forbidden" end,
    list = { once = unsent "forbidden" },
    submit = { once = refused "forbidden" },
    look_up = looked_up,
    poll = { once = ended "forbidden" },
  },
}
