-- Prints docs/faults.md: the tables of spec/faults/, whose every cell spec/faults_spec.lua
-- runs over real sockets.

local cells = require "spec.faults.cells"

local function escaped(text) return (text:gsub("|", "\\|")) end

local ways = {
  once = "once", always = "always", taken = "taken", not_taken = "not taken",
  though_taken = "once, though taken",
}

-- A cell: what comes of it, and the count of submissions.
local function in_words(expected)
  if expected.result == "live" then
    return expected.adopted and "live, adopted; 1" or "live; 1"
  end
  return ("`%s`, sent %s%s; %d"):format(expected.result, expected.sent,
    expected.operation and ", operation" or "", expected.submissions)
end

-- What comes of a PUT, and how often the offer was stored.
local function in_words_of_put(expected)
  if expected.result == "stored" then return "stored; " .. expected.times end
  return ("`%s`, sent %s; %d"):format(expected.result, expected.sent, expected.times)
end

local function text_of(row, exchange, words)
  local lines = {}
  for _, way in ipairs(cells.ways) do
    local expected = row[exchange] and row[exchange][way]
    if expected then lines[#lines + 1] = ways[way] .. ": " .. words(expected) end
  end
  return table.concat(lines, "<br>")
end

local function print_rows(rows, exchanges, words)
  for _, row in ipairs(rows) do
    local columns = { escaped(row.name) }
    for _, exchange in ipairs(exchanges) do
      columns[#columns + 1] = text_of(row, exchange, words)
    end
    print("| " .. table.concat(columns, " | ") .. " |")
  end
end

local function print_table(first, rows)
  print(("| %s | list | submit | look-up | poll |\n|---|---|---|---|---|"):format(first))
  print_rows(rows, cells.exchanges, in_words)
end

local http, token = require "spec.faults.http", require "spec.faults.token"
local authority = require "spec.faults.authority"
local put = require "spec.faults.put"
local of_http, of_token = #cells.of(http), #cells.of(token) + #cells.of(authority)
local of_put = #cells.of(put, cells.of_put)

print(([[
# Faults, and what becomes of a go live

Printed by `make docs` from `spec/faults/`, where each cell is written by hand, from the
contract. `spec/faults_spec.lua`, `spec/faults_token_spec.lua` and `spec/faults_put_spec.lua` run
all %d of them over real sockets against the [emulator](../emulator/README.md#faults): %d with a
fault of the connection or the answer, %d with one of the token, %d with one of [a PUT](#a-put).

The exchanges of a go live: the **list** of operations is read before anything is sent; the
POST **submits**; when its outcome is unclear, the **look-up** finds it in the list, for as
long as `reconcile` says; a wait **polls**. For the look-up, the answer to a POST that the
service took is lost first.

A cell says how the fault strikes, what comes of it, and after the semicolon how many go lives
the service took. It is never more than one.

- *once*: at one request. *always*: at every one. Where once is the end, always is the same.
- *taken*, *not taken*: did the service take the POST? Such a POST is not repeated. *Though
  taken*: it is repeated, since the answer says that it was turned away, and meets a 409.
- *live*: the offer goes live. *adopted*: by the operation that was found in the list.
- Otherwise the error's `code` and its `sent`; *operation*: `err.operation` names what runs.

The client has a token function, 2 `retries`, and no `retry_max_delay` or `reconcile` as long as
the delay of *much later*, which is 100 seconds; *later* asks for 0. The operation is younger than
a minute: later, 404 and 410 of a poll are looked up in the list. A redirect's other origin gets
no request, and so no token.

## Connections and answers
]]):format(of_http + of_token + of_put, of_http, of_token, of_put))
print_table("fault", http)
print [[

## The token function

It goes wrong when it is asked for the token of that exchange, or of that one and all after it.
]]
print_table("token", token)
print [[

## The request for a token

The client has a client secret. The list needs its first token; before the poll the token is
revoked, so that the service refuses it and a new one is asked for.
]]
print_table("fault", authority)
print [[

## A PUT

An offer that was read is edited and **put**. When what became of that is unclear, the offer is read
**back**: the same document is proof that it was stored. For that column the answer to a PUT that the
service took is lost first. After the semicolon: how often the offer was stored.

| fault | put | back |
|---|---|---|]]
print_rows(put, cells.of_put, in_words_of_put)
