-- How long the hook had run when it wrote the row, in microseconds: `doctor` shows what the client waits for.
ALTER TABLE tool_calls ADD COLUMN hook_us INTEGER;
