-- Sends the requests of the file that is its argument, each once, by wrk. A line of it is a signature and a body.
-- Says how many were answered with another status than 200, and how the answers went: number, seconds, and the
-- latencies of which half and 99 of 100 are at most, in microseconds.

local requests = {}
local sent = 0

function setup(thread)
  worker = thread
end

function init(arguments)
  for line in io.lines(arguments[1]) do
    local signature, body = line:match("^(%S+) (.*)$")
    local headers = { ["Content-Type"] = "application/json", ["X-Hub-Signature-256"] = signature }
    requests[#requests + 1] = wrk.format("POST", nil, headers, body)
  end
end

function request()
  sent = sent + 1
  -- What is sent again would be another measurement: the status of it is none that counts.
  return requests[sent] or wrk.format("POST", "/exhausted", {}, "")
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  print(string.format("failed %d", failed))
  print(string.format("measured %d %.6f %.1f %.1f", summary.requests, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99)))
end
