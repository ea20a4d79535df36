-- The requests that a response took within it, where its record tells of several (`usage.iterations`): JSON, arrays of counts
-- in the order of the columns above (store/responses.rs). The first is what the client itself counts for the response. Each
-- is priced by its own prompt, so their sum can be worth less than one request of that size.
ALTER TABLE responses ADD COLUMN iterations TEXT;
