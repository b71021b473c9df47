-- Who may use a spatial index, where the database has ODC's roles.

GRANT SELECT ON odc.spatial_{srid} TO odc_user;
GRANT INSERT ON odc.spatial_{srid} TO odc_manage;
GRANT ALL ON odc.spatial_{srid} TO odc_admin;
