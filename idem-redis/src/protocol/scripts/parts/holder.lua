-- Begins the calls of a holder. ARGV[1]: its token and its fingerprint, encoded as in the record.
if state == 0 or state == 4 then
  return 'gone'
elseif string.sub(head, 7, 30) ~= string.sub(ARGV[1], 1, 24) then
  return 'superseded'
elseif string.sub(head, 55, 86) ~= string.sub(ARGV[1], 25) then
  return 'damaged'
elseif state == 2 then
  return 'released'
end
