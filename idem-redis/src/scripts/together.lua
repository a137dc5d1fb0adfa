-- Several calls at once, in their order, each with its key. Each has the number of its arguments first: two for the
-- lock of a key that may be fresh (its life in milliseconds, the record), more for a completion. The answer has one
-- element for each, which is what it would be answered alone; {'error', message} where that is an error.
local answers, at = {}, 1
for number, key in ipairs(KEYS) do
  local count, done, answer = ARGV[at], true, nil
  if count == '2' then
    answer = redis.pcall('SET', key, ARGV[at + 2], 'NX', 'GET', 'PX', ARGV[at + 1])
  else
    done, answer = pcall(complete, {key}, {unpack(ARGV, at + 1, at + count)})
  end
  -- What the server raises is a table, what the script engine raises is none.
  if type(answer) == 'table' then
    answer = {'error', answer.err}
  elseif not done then
    answer = {'error', answer}
  end
  answers[number] = answer
  at = at + count + 1
end
return answers
