--- What a go live under a fault may come to: a `result` ("live", or the error's code), what
-- it says of `sent`, whether the operation was `adopted`, whether the error names an
-- `operation`, and how many `submissions` the service took.

local outcomes = {}

--- The offer goes live, once.
outcomes.live = { result = "live", adopted = false, submissions = 1 }

--- The same, by the operation that was found in the list.
outcomes.adopted = { result = "live", adopted = true, submissions = 1 }

--- Nothing was sent, for this reason.
function outcomes.unsent(code)
  return { result = code, sent = "no", operation = false, submissions = 0 }
end

--- The service said no.
function outcomes.refused(code)
  return { result = code, sent = "yes", operation = false, submissions = 0 }
end

--- It said no although it had taken it: the list then tells what runs.
function outcomes.refused_but_running(code)
  return { result = code, sent = "yes", operation = true, submissions = 1 }
end

--- Nobody can say whether it was taken. It was not.
function outcomes.unclear(sent)
  return { result = "ambiguous", sent = sent, operation = false, submissions = 0 }
end

--- The URL in the 202 is not to be trusted, and the list has nothing new.
outcomes.untrusted = {
  result = "untrusted_url", sent = "yes", operation = false, submissions = 0,
}

--- It was taken, and the list that would tell can't be read.
outcomes.open = { result = "ambiguous", sent = "maybe", operation = false, submissions = 1 }

--- The wait ends, and its error names the operation, which goes on.
function outcomes.ended(code)
  return { result = code, sent = "yes", operation = true, submissions = 1 }
end

return outcomes
