--- What has been asked of the emulator, for specs to look at.

local ledger = {}

local counts

function ledger.reset()
  counts = {
    requests = 0, polls = 0, unauthorized = 0, connections = 0, faults = 0,
    in_flight = 0, most_in_flight = 0, submissions = {}, attempts = {},
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
