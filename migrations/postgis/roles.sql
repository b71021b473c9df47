-- ODC's three roles, each with the rights of those before it: odc_user reads,
-- odc_manage adds, odc_admin owns.
--
-- Roles belong to the whole server: another database of it may make them at
-- the same moment. DIFFERENCE: datacube-core writes WITH ADMIN TRUE, which
-- PostgreSQL 15 does not know; WITH ADMIN OPTION means the same everywhere.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'odc_user') THEN
        CREATE ROLE odc_user NOLOGIN INHERIT;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'odc_manage') THEN
        CREATE ROLE odc_manage NOLOGIN INHERIT;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'odc_admin') THEN
        CREATE ROLE odc_admin NOLOGIN INHERIT CREATEROLE;
    END IF;
    IF NOT pg_has_role('odc_manage', 'odc_user', 'MEMBER') THEN
        GRANT odc_user TO odc_manage WITH ADMIN OPTION;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_auth_members
        WHERE roleid = 'odc_user'::regrole AND member = 'odc_admin'::regrole AND admin_option
    ) THEN
        GRANT odc_user TO odc_admin WITH ADMIN OPTION;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_auth_members
        WHERE roleid = 'odc_manage'::regrole AND member = 'odc_admin'::regrole AND admin_option
    ) THEN
        GRANT odc_manage TO odc_admin WITH ADMIN OPTION;
    END IF;
    EXECUTE format('GRANT ALL ON DATABASE %I TO odc_admin', current_database());
END
$$;
