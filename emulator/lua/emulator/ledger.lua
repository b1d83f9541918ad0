--- What has been asked of the emulator, for specs to look at.

local ledger = {}

local counts

function ledger.reset()
  counts = {
    requests = 0, polls = 0, unauthorized = 0, connections = 0, faults = 0,
    in_flight = 0, most_in_flight = 0, submissions = {}, attempts = {},
    tokens = {asked = 0, issued = 0, at_once = 0, most_at_once = 0,
      by = {secret = 0, federated = 0, imds = 0, app_service = 0}},
  }
end

--- A request to the service, on a new connection or on one that was kept. Call what this
-- gives when the answer is known; a reset in between has forgotten the request.
function ledger.request(first_on_connection)
  local book = counts
  book.requests = book.requests + 1
  if first_on_connection then book.connections = book.connections + 1 end
  book.in_flight = book.in_flight + 1
  book.most_in_flight = math.max(book.most_in_flight, book.in_flight)
  return function() book.in_flight = book.in_flight - 1 end
end

--- The same for a request for a token, of which the counts above know nothing.
function ledger.token_request()
  local book = counts.tokens
  book.asked = book.asked + 1
  book.at_once = book.at_once + 1
  book.most_at_once = math.max(book.most_at_once, book.at_once)
  return function() book.at_once = book.at_once - 1 end
end

--- A token was given out, by that way.
function ledger.issued(way)
  counts.tokens.issued = counts.tokens.issued + 1
  counts.tokens.by[way] = counts.tokens.by[way] + 1
end

function ledger.poll()
  counts.polls = counts.polls + 1
end

--- A fault of a plan has struck.
function ledger.fault()
  counts.faults = counts.faults + 1
end

function ledger.unauthorized()
  counts.unauthorized = counts.unauthorized + 1
end

--- `book` is "attempts" for every POST, "submissions" for those that were accepted.
function ledger.count(book, offer, kind)
  local name = offer.publisher .. "/" .. offer.id
  local entry = counts[book][name] or {golive = 0, publish = 0, cancel = 0}
  entry[kind] = entry[kind] + 1
  counts[book][name] = entry
end

function ledger.counts()
  return counts
end

ledger.reset()

return ledger
