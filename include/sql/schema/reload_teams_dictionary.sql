-- Makes a change of teams visible to queries at once.
-- Parameters: none.
SYSTEM RELOAD DICTIONARY {{ dictionary }}
