-- wrk asks for one sample after the other to be forgotten, from the first on; see http.py.
local number = -1

function request()
  number = number + 1
  local body = string.format(
    '{"model": "model-%d", "target": {"kind": "samples", "sample_ids": ["sample-%06d"]}, "lane": "quality"}',
    number % 10, number)
  return wrk.format("POST", nil, nil, body)
end
