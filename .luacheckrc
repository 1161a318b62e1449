-- Of the scripts of django_rediscron, which run in Redis. tests/test_scripts.py checks each as Redis
-- is sent it: with what it includes, and with the constants that Python gives it.
std = "lua51"
read_globals = {"redis", "cjson", "cmsgpack", "struct", "bit", "KEYS", "ARGV"}
max_line_length = 100
