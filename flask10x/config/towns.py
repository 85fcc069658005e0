"""Towns by which people find the place of their house, without asking another host.

Those of Japan are the seats of the prefectures and other large cities, each with the height above
sea level of its weather station or town hall, which is only a beginning: a house may be on a hill.
Those of the rest of the world are astral's.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from flask10x.errors import nearest

MOST = 8
"""How many towns an answer has at most."""


@dataclass(frozen=True, slots=True)
class Town:
    """A town, and what it says of a house in it."""

    name: str
    name_ja: str
    """Empty: it is not known."""
    country: str
    """Empty: Japan."""
    zone: str
    latitude: float
    longitude: float
    altitude_m: int | None
    """About how high it is; None: unknown."""

    @property
    def place(self) -> str:
        """`35.69,139.75`, as the setting PLACE is written."""
        return f"{self.latitude:.2f},{self.longitude:.2f}"

    @property
    def key(self) -> str:
        """What it is called in an address."""
        return ", ".join(filter(None, (self.name, self.country)))


_JAPAN = """
Sapporo 札幌 43.06 141.35 17
Asahikawa 旭川 43.77 142.37 120
Hakodate 函館 41.77 140.73 35
Kushiro 釧路 42.98 144.38 5
Obihiro 帯広 42.92 143.20 38
Aomori 青森 40.82 140.74 3
Hachinohe 八戸 40.51 141.49 27
Morioka 盛岡 39.70 141.15 155
Sendai 仙台 38.27 140.87 39
Akita 秋田 39.72 140.10 6
Yamagata 山形 38.24 140.36 153
Fukushima 福島 37.75 140.47 67
Koriyama 郡山 37.40 140.36 249
Iwaki いわき 37.05 140.89 5
Mito 水戸 36.34 140.45 29
Tsukuba つくば 36.08 140.08 25
Utsunomiya 宇都宮 36.57 139.88 119
Maebashi 前橋 36.39 139.06 112
Takasaki 高崎 36.32 139.00 97
Saitama さいたま 35.86 139.65 8
Kumagaya 熊谷 36.15 139.39 30
Chiba 千葉 35.61 140.11 4
Tokyo 東京 35.69 139.75 25
Hachioji 八王子 35.67 139.32 123
Yokohama 横浜 35.44 139.64 39
Kawasaki 川崎 35.53 139.70 5
Sagamihara 相模原 35.57 139.37 149
Niigata 新潟 37.92 139.04 4
Nagaoka 長岡 37.45 138.85 23
Toyama 富山 36.70 137.21 9
Kanazawa 金沢 36.56 136.66 6
Fukui 福井 36.07 136.22 9
Kofu 甲府 35.66 138.57 273
Nagano 長野 36.65 138.18 418
Matsumoto 松本 36.24 137.97 610
Gifu 岐阜 35.42 136.76 13
Takayama 高山 36.15 137.25 560
Shizuoka 静岡 34.98 138.38 14
Hamamatsu 浜松 34.71 137.73 46
Nagoya 名古屋 35.18 136.91 51
Toyohashi 豊橋 34.77 137.39 5
Tsu 津 34.73 136.51 3
Otsu 大津 35.00 135.87 86
Kyoto 京都 35.01 135.77 41
Osaka 大阪 34.69 135.50 23
Sakai 堺 34.57 135.48 20
Kobe 神戸 34.69 135.20 5
Himeji 姫路 34.82 134.69 38
Nara 奈良 34.69 135.80 102
Wakayama 和歌山 34.23 135.17 14
Tottori 鳥取 35.50 134.24 7
Matsue 松江 35.47 133.05 17
Okayama 岡山 34.66 133.93 5
Kurashiki 倉敷 34.59 133.77 3
Hiroshima 広島 34.40 132.46 4
Fukuyama 福山 34.49 133.36 2
Yamaguchi 山口 34.19 131.47 17
Shimonoseki 下関 33.96 130.94 3
Tokushima 徳島 34.07 134.56 2
Takamatsu 高松 34.34 134.04 9
Matsuyama 松山 33.84 132.77 32
Kochi 高知 33.56 133.53 1
Fukuoka 福岡 33.59 130.40 3
Kitakyushu 北九州 33.88 130.88 3
Saga 佐賀 33.25 130.30 6
Nagasaki 長崎 32.75 129.88 27
Sasebo 佐世保 33.18 129.72 4
Kumamoto 熊本 32.79 130.74 38
Oita 大分 33.24 131.61 5
Miyazaki 宮崎 31.91 131.42 9
Kagoshima 鹿児島 31.60 130.56 4
Naha 那覇 26.21 127.68 28
Ishigaki 石垣 24.34 124.16 6
"""

# Old names of zones in astral's list, which a system may lack: Debian has them in tzdata-legacy.
_ZONES = {
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
    "America/Godthab": "America/Nuuk",
    "America/Montreal": "America/Toronto",
    "America/Virgin": "America/St_Thomas",
    "America/Yellowknife": "America/Edmonton",
    "Asia/Harbin": "Asia/Shanghai",
    "Asia/Rangoon": "Asia/Yangon",
    "Asia/Saigon": "Asia/Ho_Chi_Minh",
    "Australia/Canberra": "Australia/Sydney",
    "Brazil/East": "America/Sao_Paulo",
    "Etc/GMT": "Europe/Jersey",
    "Etc/GMT-10": "Pacific/Rarotonga",
    "Europe/Belfast": "Europe/London",
    "Europe/Kiev": "Europe/Kyiv",
    "Pacific/Ponape": "Pacific/Pohnpei",
    "US/Alaska": "America/Anchorage",
    "US/Central": "America/Chicago",
    "US/Eastern": "America/New_York",
    "US/Hawaii": "Pacific/Honolulu",
    "US/Mountain": "America/Denver",
    "US/Pacific": "America/Los_Angeles",
    "UTC": "Africa/El_Aaiun",
}
# Places in astral's list that are on another side of the earth than their town.
_PLACES = {
    ("Al Jubail", "Saudi Arabia"): (27.01, 49.66),
    ("Avarua", "Cook Islands"): (-21.21, -159.78),
    ("Kingston", "Norfolk Island"): (-29.06, 167.96),
    ("Nouakchott", "Mauritania"): (18.09, -15.98),
    ("Sana", "Yemen"): (15.35, 44.20),
    ("Sana'a", "Yemen"): (15.35, 44.20),
    ("St. George's", "Grenada"): (12.05, -61.75),
}


@cache
def towns() -> tuple[Town, ...]:
    """All of them, those of Japan first."""
    return (*_of_japan(), *_of_the_world())


def _of_japan() -> Iterator[Town]:
    for line in _JAPAN.strip().splitlines():
        name, japanese, latitude, longitude, metres = line.split()
        place = float(latitude), float(longitude)
        yield Town(name, japanese, "", "Asia/Tokyo", *place, int(metres))


def _of_the_world() -> Iterator[Town]:
    # Only a search needs it.
    from astral.geocoder import all_locations, database  # noqa: PLC0415

    japanese = {town.name for town in _of_japan()}
    for one in all_locations(database()):
        if one.timezone != "Asia/Tokyo" or one.name not in japanese:
            place = _PLACES.get((one.name, one.region), (one.latitude, one.longitude))
            zone = _ZONES.get(one.timezone, one.timezone)
            yield Town(one.name, "", one.region, zone, *place, None)


def search(text: str) -> tuple[list[Town], str]:
    """Return the towns whose name begins like the text or has it in it, and the nearest name.

    That is empty where a town was found, and where none is near.
    """
    wanted = _plain(text)
    if not wanted:
        return [], ""
    ranked = [(rank, town) for town in towns() if (rank := _rank(town, wanted)) is not None]
    if ranked:
        return [town for _rank_of, town in sorted(ranked, key=lambda pair: pair[0])][:MOST], ""
    names = {_plain(town.name): town.name for town in towns()}
    return [], names.get(nearest(wanted, names) or "", "")


def town_of(key: str) -> Town | None:
    """Return the town of this `key`."""
    return next((town for town in towns() if town.key == key), None)


def _rank(town: Town, wanted: str) -> int | None:
    """0 for a name that is the text, 1 for one that begins like it, 2 for any other with it."""
    names = [_plain(name) for name in (town.name, town.name_ja, town.country) if name]
    # People write 札幌市.
    names += [f"{name}{end}" for name in names[1:2] if town.name_ja for end in "市都府"]
    if wanted in names:
        return 0
    if any(name.startswith(wanted) for name in names):
        return 1
    return 2 if any(wanted in name for name in names) else None


def _plain(text: str) -> str:
    """The text in small letters without accents, in usual width."""
    letters = unicodedata.normalize("NFKD", text.strip().casefold())
    bare = "".join(letter for letter in letters if not "\u0300" <= letter <= "\u036f")
    return unicodedata.normalize("NFKC", bare)
