-- One reading, posted again and again; the account of it as a line of JSON.
-- BENCH_CLOSE=1 in the environment: a connection for each.
wrk.method = "POST"
wrk.path = "/data2"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"co2": 650, "temperature": 25.1, "humidity": 52, "pressure": 1013.2, "gas_res": 12561247}'
if os.getenv("BENCH_CLOSE") == "1" then
  wrk.headers["Connection"] = "close"
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'ACCOUNT {"requests": %d, "seconds": %.6f, "refused": %d, "broken": %d, ' ..
    '"p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
