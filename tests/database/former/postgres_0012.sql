CREATE FUNCTION public.next_id(of_table text) RETURNS bigint
    LANGUAGE sql
    AS $$
        INSERT INTO log (name, last_id) VALUES (of_table, 1)
        ON CONFLICT (name) DO UPDATE SET last_id = log.last_id + 1
        RETURNING last_id
    $$;
CREATE TABLE public.accepted_keys (
    generation bigint NOT NULL,
    digest bytea NOT NULL,
    at bigint NOT NULL
);
CREATE TABLE public.active_alerts (
    rule text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    since_ms bigint NOT NULL,
    entered_ms bigint NOT NULL,
    reminded_ms bigint NOT NULL,
    ended_ms bigint,
    facts text NOT NULL COLLATE pg_catalog."C",
    ways text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.alert_mutes (
    rule text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    until_ms bigint NOT NULL,
    created_ms bigint NOT NULL
);
CREATE TABLE public.corrections (
    id bigint DEFAULT public.next_id('corrections'::text) NOT NULL,
    endpoint text NOT NULL COLLATE pg_catalog."C",
    measurement text COLLATE pg_catalog."C",
    first_ms bigint,
    last_ms bigint,
    kind text NOT NULL COLLATE pg_catalog."C",
    gain double precision,
    "offset" double precision,
    reason text NOT NULL COLLATE pg_catalog."C",
    written_at bigint NOT NULL,
    undone_at bigint
);
CREATE TABLE public.counters (
    name text NOT NULL COLLATE pg_catalog."C",
    value bigint NOT NULL
);
CREATE TABLE public.export_floors (
    name text NOT NULL COLLATE pg_catalog."C",
    first_id bigint NOT NULL,
    last_id bigint NOT NULL,
    size_bytes bigint NOT NULL,
    checksum bigint NOT NULL
);
CREATE TABLE public.export_intents (
    name text NOT NULL COLLATE pg_catalog."C",
    from_id bigint NOT NULL,
    to_id bigint NOT NULL,
    start_offset bigint NOT NULL,
    length bigint NOT NULL,
    sha256 text NOT NULL COLLATE pg_catalog."C",
    import_id bigint
);
CREATE TABLE public.export_origins (
    name text NOT NULL COLLATE pg_catalog."C",
    system_identifier text NOT NULL COLLATE pg_catalog."C",
    timeline bigint NOT NULL
);
CREATE TABLE public.exports (
    name text NOT NULL COLLATE pg_catalog."C",
    first_id bigint NOT NULL,
    last_id bigint NOT NULL,
    import_id bigint NOT NULL,
    begin_bytes bigint,
    size_bytes bigint,
    checksum bigint,
    inode bigint,
    changed_ns bigint,
    zone text COLLATE pg_catalog."C",
    last_received_at bigint,
    last_time text COLLATE pg_catalog."C"
);
CREATE TABLE public.followers (
    name text NOT NULL COLLATE pg_catalog."C",
    last_id bigint NOT NULL
);
CREATE TABLE public.imports (
    id bigint DEFAULT public.next_id('imports'::text) NOT NULL,
    endpoint text NOT NULL COLLATE pg_catalog."C",
    file text NOT NULL COLLATE pg_catalog."C",
    first_id bigint NOT NULL,
    last_id bigint NOT NULL,
    after_id bigint DEFAULT 0 NOT NULL,
    imported_at bigint NOT NULL,
    size_bytes bigint,
    sha256 text COLLATE pg_catalog."C"
);
CREATE TABLE public.leases (
    name text NOT NULL COLLATE pg_catalog."C",
    host text NOT NULL COLLATE pg_catalog."C",
    token text NOT NULL COLLATE pg_catalog."C",
    expires_at bigint NOT NULL
);
CREATE TABLE public.log (
    name text NOT NULL COLLATE pg_catalog."C",
    last_id bigint NOT NULL,
    host text COLLATE pg_catalog."C"
);
CREATE TABLE public.notes (
    id bigint DEFAULT public.next_id('notes'::text) NOT NULL,
    endpoint text COLLATE pg_catalog."C",
    first_ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    text text NOT NULL COLLATE pg_catalog."C",
    written_at bigint NOT NULL,
    undone_at bigint
);
CREATE TABLE public.owners (
    name text NOT NULL COLLATE pg_catalog."C",
    host text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.readings (
    id bigint DEFAULT public.next_id('readings'::text) NOT NULL,
    endpoint text NOT NULL COLLATE pg_catalog."C",
    received_at bigint NOT NULL,
    co2 double precision,
    temperature double precision,
    humidity double precision,
    pressure double precision,
    gas_resistance double precision,
    analog_value double precision,
    voltage double precision,
    temperature_ds18b20 double precision,
    temperature_dht11 double precision,
    humidity_dht11 double precision,
    arrived_at bigint
);
CREATE TABLE public.rejected (
    id bigint DEFAULT public.next_id('rejected'::text) NOT NULL,
    endpoint text NOT NULL COLLATE pg_catalog."C",
    received_at bigint NOT NULL,
    end_bytes bigint NOT NULL,
    reading_id bigint,
    media_type text NOT NULL COLLATE pg_catalog."C",
    reasons text NOT NULL COLLATE pg_catalog."C",
    hint text NOT NULL COLLATE pg_catalog."C",
    body bytea NOT NULL,
    codes text COLLATE pg_catalog."C",
    measured_at bigint,
    digest bytea
);
CREATE TABLE public.removed (
    endpoint text NOT NULL COLLATE pg_catalog."C",
    last_id bigint NOT NULL,
    last_ms bigint NOT NULL,
    readings bigint NOT NULL
);
CREATE TABLE public.removed_hours (
    endpoint text NOT NULL COLLATE pg_catalog."C",
    hour bigint NOT NULL,
    measurement text NOT NULL COLLATE pg_catalog."C",
    readings bigint NOT NULL,
    count bigint NOT NULL,
    total double precision,
    minimum double precision,
    maximum double precision
);
CREATE TABLE public.rollup_days (
    endpoint text NOT NULL COLLATE pg_catalog."C",
    measurement text NOT NULL COLLATE pg_catalog."C",
    day bigint NOT NULL,
    readings bigint NOT NULL,
    count bigint NOT NULL,
    total double precision,
    minimum double precision,
    maximum double precision
);
CREATE TABLE public.rollup_zone (
    id bigint DEFAULT public.next_id('rollup_zone'::text) NOT NULL,
    zone text NOT NULL COLLATE pg_catalog."C",
    after_endpoint text COLLATE pg_catalog."C",
    after_day bigint
);
CREATE TABLE public.rollups (
    endpoint text NOT NULL COLLATE pg_catalog."C",
    measurement text NOT NULL COLLATE pg_catalog."C",
    hour bigint NOT NULL,
    readings bigint NOT NULL,
    count bigint NOT NULL,
    total double precision,
    minimum double precision,
    maximum double precision
);
CREATE VIEW public.v_data AS
 SELECT id,
    to_char(to_timestamp(((received_at / 1000))::double precision), 'YYYY-MM-DD HH24:MI:SS'::text) AS "time",
    pressure,
    temperature
   FROM public.readings
  WHERE (endpoint = 'data'::text);
COMMENT ON VIEW public.v_data IS 'CREATE VIEW v_data AS SELECT id, to_char(to_timestamp(received_at / 1000), ''YYYY-MM-DD HH24:MI:SS'') AS time, pressure, temperature FROM readings WHERE endpoint = ''data''';
CREATE VIEW public.v_data2 AS
 SELECT id,
    to_char(to_timestamp(((received_at / 1000))::double precision), 'YYYY-MM-DD HH24:MI:SS'::text) AS "time",
    co2,
    temperature,
    humidity,
    pressure,
    gas_resistance AS gas_res
   FROM public.readings
  WHERE (endpoint = 'data2'::text);
COMMENT ON VIEW public.v_data2 IS 'CREATE VIEW v_data2 AS SELECT id, to_char(to_timestamp(received_at / 1000), ''YYYY-MM-DD HH24:MI:SS'') AS time, co2, temperature, humidity, pressure, gas_resistance AS gas_res FROM readings WHERE endpoint = ''data2''';
CREATE VIEW public.v_data3 AS
 SELECT id,
    to_char(to_timestamp(((received_at / 1000))::double precision), 'YYYY-MM-DD HH24:MI:SS'::text) AS "time",
    temperature,
    humidity,
    pressure,
    gas_resistance AS gas_res
   FROM public.readings
  WHERE (endpoint = 'data3'::text);
COMMENT ON VIEW public.v_data3 IS 'CREATE VIEW v_data3 AS SELECT id, to_char(to_timestamp(received_at / 1000), ''YYYY-MM-DD HH24:MI:SS'') AS time, temperature, humidity, pressure, gas_resistance AS gas_res FROM readings WHERE endpoint = ''data3''';
CREATE VIEW public.v_data4 AS
 SELECT id,
    to_char(to_timestamp(((received_at / 1000))::double precision), 'YYYY-MM-DD HH24:MI:SS'::text) AS "time",
    co2 AS "mh_z19.co2",
    analog_value AS "mq_2.analog_value",
    voltage AS "mq_2.voltage",
    temperature_ds18b20 AS "ds18b20.temperature",
    temperature_dht11 AS "dht11.temperature",
    humidity_dht11 AS "dht11.humidity"
   FROM public.readings
  WHERE (endpoint = 'data4'::text);
COMMENT ON VIEW public.v_data4 IS 'CREATE VIEW v_data4 AS SELECT id, to_char(to_timestamp(received_at / 1000), ''YYYY-MM-DD HH24:MI:SS'') AS time, co2 AS "mh_z19.co2", analog_value AS "mq_2.analog_value", voltage AS "mq_2.voltage", temperature_ds18b20 AS "ds18b20.temperature", temperature_dht11 AS "dht11.temperature", humidity_dht11 AS "dht11.humidity" FROM readings WHERE endpoint = ''data4''';
INSERT INTO public.alembic_version VALUES ('0012');
INSERT INTO public.counters VALUES ('write_errors', 3);
INSERT INTO public.exports VALUES ('PicodataX.csv', 1, 5, 2, NULL, 259, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.followers VALUES ('rollups', 7);
INSERT INTO public.log VALUES ('readings', 0, NULL);
INSERT INTO public.notes VALUES (2, NULL, 0, 1, 'window', 5, NULL);
INSERT INTO public.readings VALUES (7, 'data', 5, NULL, NULL, NULL, 1.5, NULL, NULL, NULL, NULL, NULL, NULL, 9);
INSERT INTO public.rejected VALUES (7, 'data', 5, 512, NULL, '', '{}', '', '\x7b7d', NULL, NULL, NULL);
INSERT INTO public.rollups VALUES ('data', 'pressure', 0, 1, 1, NULL, NULL, NULL);
ALTER TABLE ONLY public.accepted_keys
    ADD CONSTRAINT accepted_keys_pkey PRIMARY KEY (generation, digest);
ALTER TABLE ONLY public.active_alerts
    ADD CONSTRAINT active_alerts_pkey PRIMARY KEY (rule, subject);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.alert_mutes
    ADD CONSTRAINT alert_mutes_pkey PRIMARY KEY (rule, subject);
ALTER TABLE ONLY public.corrections
    ADD CONSTRAINT corrections_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.counters
    ADD CONSTRAINT counters_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.export_floors
    ADD CONSTRAINT export_floors_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.export_intents
    ADD CONSTRAINT export_intents_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.export_origins
    ADD CONSTRAINT export_origins_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.exports
    ADD CONSTRAINT exports_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.followers
    ADD CONSTRAINT followers_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.imports
    ADD CONSTRAINT imports_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.owners
    ADD CONSTRAINT owners_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.readings
    ADD CONSTRAINT readings_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.rejected
    ADD CONSTRAINT rejected_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.removed_hours
    ADD CONSTRAINT removed_hours_pkey PRIMARY KEY (endpoint, hour, measurement);
ALTER TABLE ONLY public.removed
    ADD CONSTRAINT removed_pkey PRIMARY KEY (endpoint);
ALTER TABLE ONLY public.rollup_days
    ADD CONSTRAINT rollup_days_pkey PRIMARY KEY (endpoint, measurement, day);
ALTER TABLE ONLY public.rollup_zone
    ADD CONSTRAINT rollup_zone_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.rollups
    ADD CONSTRAINT rollups_pkey PRIMARY KEY (endpoint, measurement, hour);
CREATE INDEX ix_readings_endpoint_received_at ON public.readings USING btree (endpoint, received_at, id);
CREATE INDEX ix_rollups_missing ON public.rollups USING btree (endpoint, hour) WHERE (count < readings);
