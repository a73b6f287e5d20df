-- Until now, what came under the name of somebody who is merged became the other's.
UPDATE accounts_useridentity SET moved_at = now()
WHERE user_id IN (SELECT id FROM accounts_user WHERE merged_into_id IS NOT NULL);

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

-- A name that leads elsewhere now: somebody else may have records of it, whoever pointed it there.
CREATE FUNCTION accounts_identity_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.moved_at := CASE WHEN OLD.user_id = NEW.user_id THEN OLD.moved_at ELSE now() END;
    RETURN NEW;
END
$$;

CREATE TRIGGER identity_moved BEFORE UPDATE ON accounts_useridentity
    FOR EACH ROW EXECUTE FUNCTION accounts_identity_moved();
