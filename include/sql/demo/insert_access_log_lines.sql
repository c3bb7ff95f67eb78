-- Takes numbered lines from the client.
INSERT INTO access_log_lines (line_number, line) VALUES
