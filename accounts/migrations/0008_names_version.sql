-- How often a name that ingest may know was changed or taken away: processes keep what they know for as long as
-- this stays (accounts/identities.py). Whoever changes one counts in the same transaction.
CREATE TABLE accounts_names_version (version bigint NOT NULL);
INSERT INTO accounts_names_version VALUES (0);

CREATE FUNCTION accounts_names_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE accounts_names_version SET version = version + 1;
    RETURN NULL;
END
$$;

CREATE TRIGGER names_changed AFTER UPDATE OR DELETE OR TRUNCATE ON accounts_useridentity
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_names_changed();
CREATE TRIGGER names_changed AFTER UPDATE OR DELETE OR TRUNCATE ON accounts_tokenidentity
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_names_changed();
CREATE TRIGGER names_changed AFTER UPDATE OR DELETE OR TRUNCATE ON accounts_groupidentity
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_names_changed();
CREATE TRIGGER names_changed AFTER UPDATE OR DELETE OR TRUNCATE ON accounts_aimodel
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_names_changed();
