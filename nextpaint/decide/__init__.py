"""Decisions: surfaces, their stages, the records they leave and the reasons they give. What an application imports."""

from nextpaint.decide.bidding import BID_INPUTS, Bid
from nextpaint.decide.budget import Paths
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context, Moment
from nextpaint.decide.epsilon_greedy import EpsilonGreedy
from nextpaint.decide.examination import Examination
from nextpaint.decide.experiment import Experiment
from nextpaint.decide.exploration import Exploration
from nextpaint.decide.fallback import LastGood, Nothing
from nextpaint.decide.feature import Feature
from nextpaint.decide.filter import NotBought, NotSeen, NotWatched, Require
from nextpaint.decide.lesson import explored_rows
from nextpaint.decide.linear import LinTS, LinUCB
from nextpaint.decide.model import Model
from nextpaint.decide.new import New
from nextpaint.decide.own import Own
from nextpaint.decide.plackett_luce import PlackettLuce
from nextpaint.decide.prior import Flat, Rank
from nextpaint.decide.rank import Weighted
from nextpaint.decide.record import DecisionRecord
from nextpaint.decide.request import DecisionRequest, Optional
from nextpaint.decide.requirements import Requirements
from nextpaint.decide.retrieve import Given, Recent, Similar
from nextpaint.decide.reward import Reward
from nextpaint.decide.rules import Diversify
from nextpaint.decide.service import Decider, Decision, requirements
from nextpaint.decide.session import SessionVector
from nextpaint.decide.surface import Surface
from nextpaint.decide.thompson import ThompsonSampling
from nextpaint.decide.together import BoughtTogether
from nextpaint.decide.top import Top, TopOf
from nextpaint.decide.window import EMAIL, PUSH, RTB, WEB_RERANK, Window

__all__ = [
    "BID_INPUTS",
    "EMAIL",
    "PUSH",
    "RTB",
    "WEB_RERANK",
    "Bid",
    "BoughtTogether",
    "Candidates",
    "Context",
    "Decider",
    "Decision",
    "DecisionRecord",
    "DecisionRequest",
    "Diversify",
    "EpsilonGreedy",
    "Examination",
    "Experiment",
    "Exploration",
    "Feature",
    "Flat",
    "Given",
    "LastGood",
    "LinTS",
    "LinUCB",
    "Model",
    "Moment",
    "New",
    "NotBought",
    "NotSeen",
    "NotWatched",
    "Nothing",
    "Optional",
    "Own",
    "Paths",
    "PlackettLuce",
    "Rank",
    "Recent",
    "Require",
    "Requirements",
    "Reward",
    "SessionVector",
    "Similar",
    "Surface",
    "ThompsonSampling",
    "Top",
    "TopOf",
    "Weighted",
    "Window",
    "explored_rows",
    "requirements",
]
