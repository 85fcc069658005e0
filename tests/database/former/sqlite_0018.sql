BEGIN TRANSACTION;
CREATE TABLE accepted_keys (
	generation INTEGER NOT NULL, 
	digest BLOB NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (generation, digest)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0018');
CREATE TABLE archived_files (
	endpoint TEXT NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	checksum INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	path TEXT, 
	first_id INTEGER NOT NULL, 
	last_id INTEGER NOT NULL, 
	import_id INTEGER NOT NULL, 
	begin_bytes INTEGER NOT NULL, 
	inode INTEGER NOT NULL, 
	changed_ns INTEGER NOT NULL, 
	zone TEXT, 
	columns TEXT, 
	floor_id INTEGER, 
	floor_bytes INTEGER, 
	floor_checksum INTEGER, 
	PRIMARY KEY (endpoint, size_bytes, checksum)
)
 STRICT

;
INSERT INTO "archived_files" VALUES('data',259,77,'PicodataX.csv',NULL,1,5,0,0,1,2,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE corrections (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	endpoint TEXT NOT NULL, 
	measurement TEXT, 
	first_ms INTEGER, 
	last_ms INTEGER, 
	kind TEXT NOT NULL, 
	gain REAL, 
	"offset" REAL, 
	reason TEXT NOT NULL, 
	written_at INTEGER NOT NULL, 
	undone_at INTEGER
)
 STRICT

;
CREATE TABLE counters (
	name TEXT NOT NULL, 
	value INTEGER NOT NULL, 
	PRIMARY KEY (name)
)
 STRICT

;
INSERT INTO "counters" VALUES('write_errors',3);
CREATE TABLE export_floors (
	name TEXT NOT NULL, 
	first_id INTEGER NOT NULL, 
	last_id INTEGER NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	checksum INTEGER NOT NULL, 
	PRIMARY KEY (name)
)
 STRICT

;
CREATE TABLE export_intents (
	name TEXT NOT NULL, 
	from_id INTEGER NOT NULL, 
	to_id INTEGER NOT NULL, 
	start_offset INTEGER NOT NULL, 
	length INTEGER NOT NULL, 
	sha256 TEXT NOT NULL, 
	import_id INTEGER, 
	PRIMARY KEY (name)
)
 STRICT

;
CREATE TABLE exports (
	name TEXT NOT NULL, 
	first_id INTEGER NOT NULL, 
	last_id INTEGER NOT NULL, 
	import_id INTEGER NOT NULL, 
	begin_bytes INTEGER, 
	size_bytes INTEGER, 
	checksum INTEGER, 
	inode INTEGER, 
	changed_ns INTEGER, zone TEXT, last_received_at INTEGER, last_time TEXT, endpoint TEXT, path TEXT, columns TEXT, 
	PRIMARY KEY (name)
)
 STRICT

;
INSERT INTO "exports" VALUES('PicodataX.csv',1,5,2,NULL,259,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE followers (
	name TEXT NOT NULL, 
	last_id INTEGER NOT NULL, 
	PRIMARY KEY (name)
)
 STRICT

;
INSERT INTO "followers" VALUES('rollups',7);
CREATE TABLE imports (
	id INTEGER NOT NULL, 
	endpoint TEXT NOT NULL, 
	file TEXT NOT NULL, 
	first_id INTEGER NOT NULL, 
	last_id INTEGER NOT NULL, 
	after_id INTEGER DEFAULT 0 NOT NULL, 
	imported_at INTEGER NOT NULL, 
	size_bytes INTEGER, 
	sha256 TEXT, 
	PRIMARY KEY (id)
)
 STRICT

;
CREATE TABLE notes (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	endpoint TEXT, 
	first_ms INTEGER NOT NULL, 
	last_ms INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	written_at INTEGER NOT NULL, 
	undone_at INTEGER
)
 STRICT

;
INSERT INTO "notes" VALUES(2,NULL,0,1,'window',5,NULL);
CREATE TABLE readings (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	endpoint TEXT NOT NULL, 
	received_at INTEGER NOT NULL, 
	co2 REAL, 
	temperature REAL, 
	humidity REAL, 
	pressure REAL, 
	gas_resistance REAL, 
	analog_value REAL, 
	voltage REAL, 
	temperature_ds18b20 REAL, 
	temperature_dht11 REAL, 
	humidity_dht11 REAL
, arrived_at INTEGER)
 STRICT

;
INSERT INTO "readings" VALUES(7,'data',5,NULL,NULL,NULL,1.5,NULL,NULL,NULL,NULL,NULL,NULL,9);
CREATE TABLE rejected (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	endpoint TEXT NOT NULL, 
	received_at INTEGER NOT NULL, 
	end_bytes INTEGER NOT NULL, 
	reading_id INTEGER, 
	media_type TEXT NOT NULL, 
	reasons TEXT NOT NULL, 
	hint TEXT NOT NULL, 
	body BLOB NOT NULL
, codes TEXT, measured_at INTEGER, digest BLOB)
 STRICT

;
INSERT INTO "rejected" VALUES(7,'data',5,512,NULL,'','{}','',X'7B7D',NULL,NULL,NULL);
CREATE TABLE removed (
	endpoint TEXT NOT NULL, 
	last_id INTEGER NOT NULL, 
	last_ms INTEGER NOT NULL, 
	readings INTEGER NOT NULL, 
	PRIMARY KEY (endpoint)
)
 STRICT

;
CREATE TABLE removed_hours (
	endpoint TEXT NOT NULL, 
	hour INTEGER NOT NULL, 
	measurement TEXT NOT NULL, 
	readings INTEGER NOT NULL, 
	count INTEGER NOT NULL, 
	total REAL, 
	minimum REAL, 
	maximum REAL, 
	PRIMARY KEY (endpoint, hour, measurement)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE rollup_days (
	endpoint TEXT NOT NULL, 
	measurement TEXT NOT NULL, 
	day INTEGER NOT NULL, 
	readings INTEGER NOT NULL, 
	count INTEGER NOT NULL, 
	total REAL, 
	minimum REAL, 
	maximum REAL, 
	PRIMARY KEY (endpoint, measurement, day)
)
 WITHOUT ROWID,
 STRICT

;
CREATE TABLE rollup_zone (
	id INTEGER NOT NULL, 
	zone TEXT NOT NULL, 
	after_endpoint TEXT, 
	after_day INTEGER, 
	PRIMARY KEY (id)
)
 STRICT

;
CREATE TABLE rollups (
	endpoint TEXT NOT NULL, 
	measurement TEXT NOT NULL, 
	hour INTEGER NOT NULL, 
	readings INTEGER NOT NULL, 
	count INTEGER NOT NULL, 
	total REAL, 
	minimum REAL, 
	maximum REAL, 
	PRIMARY KEY (endpoint, measurement, hour)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "rollups" VALUES('data','pressure',0,1,1,NULL,NULL,NULL);
CREATE TABLE unknown_readings (
	id INTEGER NOT NULL, 
	endpoint TEXT NOT NULL, 
	received_at INTEGER NOT NULL, 
	measured_at INTEGER, 
	digest BLOB, 
	media_type TEXT NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (id)
)
 STRICT

;
INSERT INTO "unknown_readings" VALUES(1,'balcony',5,NULL,NULL,'',X'7B7D');
CREATE INDEX ix_readings_endpoint_received_at ON readings (endpoint, received_at);
CREATE VIEW v_data AS SELECT id, datetime(received_at / 1000, 'unixepoch', 'localtime') AS time, pressure, temperature FROM readings WHERE endpoint = 'data';
CREATE VIEW v_data2 AS SELECT id, datetime(received_at / 1000, 'unixepoch', 'localtime') AS time, co2, temperature, humidity, pressure, gas_resistance AS gas_res FROM readings WHERE endpoint = 'data2';
CREATE VIEW v_data3 AS SELECT id, datetime(received_at / 1000, 'unixepoch', 'localtime') AS time, temperature, humidity, pressure, gas_resistance AS gas_res FROM readings WHERE endpoint = 'data3';
CREATE VIEW v_data4 AS SELECT id, datetime(received_at / 1000, 'unixepoch', 'localtime') AS time, co2 AS "mh_z19.co2", analog_value AS "mq_2.analog_value", voltage AS "mq_2.voltage", temperature_ds18b20 AS "ds18b20.temperature", temperature_dht11 AS "dht11.temperature", humidity_dht11 AS "dht11.humidity" FROM readings WHERE endpoint = 'data4';
CREATE INDEX ix_rollups_missing ON rollups (endpoint, hour) WHERE count < readings;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('readings',7);
INSERT INTO "sqlite_sequence" VALUES('rejected',7);
INSERT INTO "sqlite_sequence" VALUES('notes',2);
COMMIT;
