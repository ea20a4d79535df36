-- What a session's contexts have grown by between its calls' estimates and its responses (store/growth.rs), kept beside its
-- shares: an export would read all of its contexts again for it.
ALTER TABLE shares ADD COLUMN growth BLOB;
