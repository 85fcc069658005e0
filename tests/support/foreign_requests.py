"""What clients of other services send, byte for byte, and where each form comes from.

`{host}` is the one thing that was changed in them. Keys, nodes and readings are made up.
"""

import gzip

WRITE_KEY = "0123456789abcdef"
CHANNEL = "12345"

# Recorded from ambient.py of AmbientDataInc/ambient-python-lib (commit e3f97b8), one reading.
AMBIENT_PYTHON = (
    b"POST /api/v2/channels/12345/dataarray HTTP/1.1\r\n"
    b"Host: {host}\r\n"
    b"User-Agent: python-requests/2.34.2\r\n"
    b"Accept-Encoding: gzip, deflate\r\n"
    b"Accept: */*\r\n"
    b"Connection: keep-alive\r\n"
    b"Content-Length: 66\r\n"
    b"Content-Type: application/json\r\n\r\n"
    b'{"writeKey": "0123456789abcdef", "data": [{"d1": 25.1, "d2": 52}]}'
)
# Of the same, several readings at once, each with its time.
AMBIENT_PYTHON_MANY = (
    b"POST /api/v2/channels/12345/dataarray HTTP/1.1\r\n"
    b"Host: {host}\r\n"
    b"User-Agent: python-requests/2.34.2\r\n"
    b"Accept-Encoding: gzip, deflate\r\n"
    b"Accept: */*\r\n"
    b"Connection: keep-alive\r\n"
    b"Content-Length: 162\r\n"
    b"Content-Type: application/json\r\n\r\n"
    b'{"writeKey": "0123456789abcdef", "data": [{"created": "2026-11-26 12:00:00", "d1": 25.1,'
    b' "d2": 52}, {"created": "2026-11-26 12:01:00.500", "d1": 25.2, "d2": 53}]}'
)
# Recorded from the same ambient.py under MicroPython 1.25 with its `requests`. Older ones, called
# `urequests`, write the Content-Type that the client gives and then their own (micropython-lib,
# python-ecosys/urequests/urequests.py): the second one, which is refused.
AMBIENT_MICROPYTHON = (
    b"POST /api/v2/channels/12345/dataarray HTTP/1.0\r\n"
    b"Connection: close\r\n"
    b"Host: {host}\r\n"
    b"Content-Type: application/json\r\n"
    b"Content-Length: 66\r\n\r\n"
    b'{"data": [{"d1": 25.1, "d2": 52}], "writeKey": "0123456789abcdef"}'
)
AMBIENT_UREQUESTS = (
    b"POST /api/v2/channels/12345/dataarray HTTP/1.0\r\n"
    b"Host: {host}\r\n"
    b"Content-Type: application/json\r\n"
    b"Content-Type: application/json\r\n"
    b"Content-Length: 66\r\n"
    b"Connection: close\r\n\r\n"
    b'{"data": [{"d1": 25.1, "d2": 52}], "writeKey": "0123456789abcdef"}'
)
# The form of `Ambient::send` in AmbientDataInc/Ambient_ESP8266_lib (src/Ambient.cpp): every value
# is a text, the body ends with a line break, and no more than the status is read of the answer.
AMBIENT_ARDUINO = (
    b"POST /api/v2/channels/12345/data HTTP/1.1\r\n"
    b"Host: {host}\r\n"
    b"Content-Length: 61\r\n"
    b"Content-Type: application/json\r\n\r\n"
    b'{"writeKey":"0123456789abcdef","d1":"25.10","d2":"  52.00"}\r\n'
)
# Recorded from ambient-lib 1.0.4 of the npm registry under Node.js 20.
AMBIENT_NODE = (
    b"POST /api/v2/channels/12345/urldataarray HTTP/1.1\r\n"
    b"Accept: application/json, text/plain, */*\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n"
    b"User-Agent: axios/0.21.4\r\n"
    b"Content-Length: 172\r\n"
    b"Host: {host}\r\n"
    b"Connection: keep-alive\r\n\r\n"
    b"writeKey=0123456789abcdef&data%5B0%5D%5Bcreated%5D=2026-11-26%2012%3A00%3A00"
    b"&data%5B0%5D%5Bd1%5D=25.1&data%5B0%5D%5Bd2%5D=52&data%5B1%5D%5Bd1%5D=25.2"
    b"&data%5B1%5D%5Bd2%5D=53"
)

# Lines of Telegraf's serializer (plugins/serializers/influx): tags in the order of their names, `i`
# behind whole numbers, nanoseconds.
TELEGRAF_LINES = (
    b"balcony,host=pi,node=esp8266-123 humidity=52.5,temperature=25.1 1795665600000000000\n"
    b"balcony,host=pi,node=esp8266-123 humidity=53i,temperature=25.2 1795665610000000000\n"
)


def _chunked(head: bytes, body: bytes) -> bytes:
    """Telegraf does not know how long a body will be, so it sends it in chunks."""
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


# The forms of plugins/outputs/influxdb and influxdb_v2 in influxdata/telegraf (commit b272631),
# whose default is gzip. Version 1 has Basic credentials when it has any, version 2 always a token.
TELEGRAF_V1 = _chunked(
    b"POST /write?db=telegraf HTTP/1.1\r\n"
    b"Host: {host}\r\n"
    b"User-Agent: Telegraf/1.36.0 Go/1.24.5\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"Authorization: Basic dGVsZWdyYWY6MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
    b"Content-Encoding: gzip\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Accept-Encoding: gzip\r\n\r\n",
    gzip.compress(TELEGRAF_LINES, mtime=0),
)
TELEGRAF_V2 = _chunked(
    b"POST /api/v2/write?bucket=home&org=house HTTP/1.1\r\n"
    b"Host: {host}\r\n"
    b"User-Agent: Telegraf/1.36.0 Go/1.24.5\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"Authorization: Token 0123456789abcdef\r\n"
    b"Content-Encoding: gzip\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Accept-Encoding: gzip\r\n\r\n",
    gzip.compress(TELEGRAF_LINES, mtime=0),
)
# The form of airrohr-firmware.ino in opendata-stuttgart/sensors-software (NRZ-2024-134-B5), as the
# HTTP client of the ESP8266 core sends it: the content type is a form's, and there is no time.
AIRROHR_LINE = (
    b"feinstaub,node=esp8266-123 SDS_P1=12.40,SDS_P2=5.33,BME280_temperature=25.10,"
    b'BME280_humidity=52.50,samples=5041628,min_micro=29,max_micro=20101,signal=-63,note="n/a"\n'
)
AIRROHR = (
    b"POST /write?db=sensorcommunity HTTP/1.1\r\n"
    b"Host: {host}\r\n"
    b"User-Agent: NRZ-2024-134-B5/123/a020a6123456\r\n"
    b"Connection: close\r\n"
    b"Authorization: Basic YWlycm9ocjowMTIzNDU2Nzg5YWJjZGVm\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n"
    b"X-Sensor: esp8266-123\r\n"
    b"X-MAC-ID: esp8266-a020a6123456\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(AIRROHR_LINE), AIRROHR_LINE)
)
# The form of the ESPHome component influxdb_v2_oss (kpfleming/esphome-influxdb_v2_oss): a line a
# field, all with one time in seconds; anything but 204 is sent again.
ESPHOME_LINES = (
    b"balcony,node=esp8266-123 temperature=25.1 1795665600\n"
    b"balcony,node=esp8266-123 humidity=52.5 1795665600\n"
)
ESPHOME = (
    b"POST /api/v2/write?org=house&bucket=home&precision=s HTTP/1.1\r\n"
    b"Host: {host}\r\n"
    b"User-Agent: esphome/influxdb\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Encoding: identity\r\n"
    b"Accept: application/json\r\n"
    b"Authorization: Token 0123456789abcdef\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(ESPHOME_LINES), ESPHOME_LINES)
)


def body_of(request: bytes) -> bytes:
    """The body of a request that is not sent in chunks."""
    return request.partition(b"\r\n\r\n")[2]
