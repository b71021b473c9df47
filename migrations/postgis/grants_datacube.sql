-- What ODC's roles may do in this program's own schema: reading goes with
-- odc_user, keeping it in step with odc_manage.

GRANT USAGE ON SCHEMA datacube TO odc_user;
GRANT SELECT ON ALL TABLES IN SCHEMA datacube TO odc_user;
GRANT INSERT, UPDATE, DELETE ON datacube.dataset, datacube.location, datacube.definition
    TO odc_manage;
