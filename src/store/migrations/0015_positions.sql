ALTER TABLE transcripts DROP COLUMN file_start;
ALTER TABLE transcripts DROP COLUMN starts_with_note;
ALTER TABLE transcripts DROP COLUMN last_at;
ALTER TABLE transcripts DROP COLUMN last_response;
ALTER TABLE transcripts ADD COLUMN reader_state TEXT NOT NULL DEFAULT '';
