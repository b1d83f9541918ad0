--- Answers as values: a status, headers, a body.

local json = require "emulator.json"

local answers = {}

function answers.text(status, text, headers)
  return {status = status, headers = headers or {}, body = text}
end

function answers.document(status, value, headers)
  return answers.text(status, json.encode(value), headers)
end

function answers.fault(status, code, message, headers)
  return answers.document(status, {error = {code = code, message = message}}, headers)
end

function answers.not_found(what)
  return answers.fault(404, "ResourceNotFound", what .. " was not found.")
end

function answers.bad_request(message)
  return answers.fault(400, "BadRequest", message)
end

function answers.precondition_failed()
  return answers.fault(412, "PreconditionFailed",
    "The ETag of the offer differs from the one in If-Match.")
end

return answers
