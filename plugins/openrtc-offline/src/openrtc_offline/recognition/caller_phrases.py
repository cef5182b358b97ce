"""What callers say to any agent: openings, carrier phrases, numbers, days, times, and everyday small talk."""

from __future__ import annotations

DIGITS = "zero oh one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth"
).split()
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "january february march april may june july august september october november december".split()
DAYS = ["today", "tonight", "tomorrow", "this week", "next week", "the weekend", *WEEKDAYS]
PARTS_OF_DAY = ["in the morning", "in the afternoon", "in the evening", "at night", "at noon", "morning", "evening"]
HOURS = [*DIGITS[2:], *TEENS[:3]]

CITIES = (
    "london|paris|berlin|madrid|rome|new york|chicago|boston|los angeles|san francisco|seattle|denver|dallas|houston|"
    "miami|atlanta|philadelphia|washington|detroit|phoenix|austin|toronto|montreal|vancouver|mexico|dublin|manchester|"
    "edinburgh|amsterdam|brussels|vienna|zurich|geneva|munich|hamburg|frankfurt|milan|venice|barcelona|lisbon|athens|"
    "stockholm|oslo|copenhagen|helsinki|warsaw|prague|budapest|moscow|istanbul|cairo|dubai|tokyo|beijing|shanghai|"
    "hong kong|singapore|sydney|melbourne|delhi|mumbai|bangkok|france|germany|spain|italy|england|japan|china|india"
).split("|")
FIRST_NAMES = (
    "john james robert michael william david richard thomas charles daniel matthew mark paul andrew george peter tom "
    "tim chris jack sam ben alex max leo henry mary patricia jennifer linda elizabeth barbara susan jessica sarah "
    "karen nancy lisa anna anne maria emma laura julia kate alice bob jane lucy"
).split()
MONEY = ("dollars", "euros", "pounds", "cents")

BEFORE_A_THING = (
    "what is|what's|what are|what was|tell me|please tell me|can you tell me|could you tell me|"
    "can you please tell me|can you give me|give me|i would like to know|i want to know|i need to know|do you know|"
    "do you have|i would like|i'd like|i want|i need|can i have|can i get|could i get|where is|when is|who is|how is|"
    "how much is|is there|are there|show me|find|find me|check|can you check|look up|get|list|explain|"
    "i have a question about|i am calling about|i'm calling about|what about"
).split("|")
BEFORE_AN_ACTION = (
    "can you|could you|would you|can you please|could you please|please|will you|i want to|i would like to|"
    "i'd like to|i need to|can i|could i|may i|i have to|help me|i want you to|how do i|how can i|let us"
).split("|")
AFTER = ("please", "for me", "for me please", "now", "right now", "today", "again", "thank you")
DETERMINERS = ("the", "my", "a", "your", "this", "our")

EVERYDAY = (
    "mm|mhm|uh-huh|hmm|hello|hello there|hi|hi there|hey|good morning|good afternoon|good evening|how are you|"
    "how are you today|hello how are you|hello can you hear me|who are you|what is your name|what can you do|"
    "what can you do for me|how can you help me|can you help me|help|help me please|i need help|yes|yes please|"
    "yes that is right|yes that's correct|sure|okay|of course|no|no thanks|no thank you|no that's all|that is all|"
    "that's all|that is all thank you|that's it|nothing else|thank you|thank you very much|thanks|thanks a lot|"
    "many thanks|goodbye|thank you goodbye|good bye|bye|bye bye|see you later|have a nice day|repeat that please|"
    "can you repeat that|could you say that again|sorry|what did you say|i do not understand|wait a moment please|"
    "never mind|can i speak to a person|i would like to talk to a human please|how much does it cost|how much is it|"
    "how much is that|how long does it take|when is it|where is it|what time is it|what day is it today|"
    "when do you open|what time do you open|when do you close|what time do you close|are you open on sunday|"
    "are you open today|my name is|my number is|the number is|it is|it's|is it|that would be|for two people|"
    "i do not know|i don't know|i am not sure|what else|anything else|tell me more|tell me more about it|"
    "tell me a story|i like it|that is great|that's good|very good|what do you think about it|where do you live|"
    "how old are you|what is the weather like today|will it rain tomorrow|what did you do yesterday|"
    "he went to the house|she was at home with the children|they were there last night|we are going to the city|"
    "you have to go there|there was a man in the street|i was born in a small town"
).split("|")


def list_numbers() -> list[str]:
    """Return the numbers that a caller may say in one go: digit strings, tens, hundreds."""
    pairs = [f"{a} {b}" for a in DIGITS for b in DIGITS]
    tens = [f"{a} {b}" for a in TENS for b in DIGITS[2:]]
    hundreds = [f"{a} hundred" for a in DIGITS[2:]] + ["a hundred", "one thousand", "two thousand", "a thousand"]
    return [*DIGITS, *TEENS, *TENS, *pairs, *tens, *hundreds]


def list_times() -> list[str]:
    """Return days, dates and times of day."""
    hours = [f"at {hour}" for hour in HOURS] + [f"at {hour} o'clock" for hour in HOURS]
    halves = [f"at half past {hour}" for hour in HOURS] + [
        f"at {hour} {half}" for hour in HOURS for half in ("thirty", "fifteen")
    ]
    meridiem = [f"at {hour} {half}" for hour in HOURS for half in ("a m", "p m", "in the morning", "in the evening")]
    on_days = [f"on {day}" for day in WEEKDAYS] + [f"{day} at {hour}" for day in DAYS[:3] + WEEKDAYS for hour in HOURS]
    parts = [
        f"{day} {part}"
        for day in ("tomorrow", "this", *WEEKDAYS)
        for part in ("morning", "afternoon", "evening", "night")
    ]
    dates = [f"{month} {day}" for month in MONTHS for day in ORDINALS] + [
        f"the {day} of {m}" for m in MONTHS for day in ORDINALS
    ]
    return [*DAYS, *PARTS_OF_DAY, *hours, *halves, *meridiem, *on_days, *parts, *dates]


def list_names() -> list[str]:
    """Return places, people and sums of money as they stand in a sentence."""
    places = [f"{link} {city}" for city in CITIES for link in ("in", "to", "from", "near", "for")]
    people = [f"{link} {name}" for name in FIRST_NAMES for link in ("my name is", "to", "with", "this is", "for")]
    sums = [f"{count} {unit}" for count in (*DIGITS[2:], *TENS, "hundred", "thousand") for unit in MONEY]
    return [*places, *people, *sums]
