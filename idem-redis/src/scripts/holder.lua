-- Calls of a holder begin with this. ARGV[1]: its token, as it stands in the record.
if state == 0 then
  return { 'gone' }
elseif string.sub(head, 7, 30) ~= ARGV[1] then
  return { 'superseded' }
elseif state == 2 then
  return { 'released' }
end
