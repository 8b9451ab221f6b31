-- Load in which every request has an id of its own and what became of each is known at the end.
--
--   wrk -t1 … -s numbered.lua URL -- METHOD PREFIX PAUSE_MS keep|close
--
-- The ids are PREFIX.1, PREFIX.2, … in X-Request-Id, which comes back in each answer. Each connection pauses before each request, so that the load is constant and leaves the
-- machine to others. At the end, one line of counts and one line for each request that got no good answer:
--
--   counts SENT CONNECT READ WRITE TIMEOUT        the last four are wrk's socket errors
--   failed ID STATUS PROXY_STATUS
--   open ID                                       no answer: it was on its way at the end, or its connection broke

local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init(args)
    method, prefix, pause, closes = args[1], args[2], tonumber(args[3]), args[4] == "close"
    sent, failed, open = 0, {}, {}
end

function delay()
    return pause
end

function request()
    sent = sent + 1
    local id = prefix .. "." .. sent
    open[id] = id
    local headers = { ["X-Request-Id"] = id, ["Connection"] = closes and "close" or nil }
    return wrk.format(method, nil, headers, method == "POST" and "the body of " .. id or nil)
end

function response(status, headers, body)
    local id = headers["X-Request-Id"] or "unknown"
    open[id] = nil
    if status >= 400 then
        failed[#failed + 1] = id .. " " .. status .. " " .. (headers["Proxy-Status"] or "-")
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    for _, thread in ipairs(threads) do
        print("counts " .. thread:get("sent") .. " " .. errors.connect .. " " .. errors.read .. " " .. errors.write .. " " .. errors.timeout)
        for _, line in ipairs(thread:get("failed")) do
            print("failed " .. line)
        end
        for _, id in pairs(thread:get("open")) do
            print("open " .. id)
        end
    end
end
