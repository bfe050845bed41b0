DROP INDEX calls_to_bill;
ALTER TABLE calls DROP COLUMN bill_tries;
ALTER TABLE calls DROP COLUMN bill_at;
