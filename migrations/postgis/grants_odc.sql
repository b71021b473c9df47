-- What ODC's roles may do, as datacube-core 1.9.22 grants it.

GRANT USAGE ON SCHEMA odc TO odc_user;
GRANT SELECT ON ALL TABLES IN SCHEMA odc TO odc_user;
GRANT INSERT ON odc.dataset, odc.dataset_lineage TO odc_manage;
GRANT INSERT, UPDATE ON odc.dataset_search_string, odc.dataset_search_num,
    odc.dataset_search_datetime TO odc_manage;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA odc TO odc_manage;
GRANT INSERT, DELETE ON odc.product, odc.metadata_type TO odc_manage;
GRANT CREATE ON SCHEMA odc TO odc_manage;
