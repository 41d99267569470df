"""Real samples: Lightning data modules over one counter-based stream."""

from gan_lightning.data.audio_folder import AudioFolder
from gan_lightning.data.base import RealData
from gan_lightning.data.digits import Digits
from gan_lightning.data.image_folder import ImageFolder
from gan_lightning.data.implicit_feedback import ImplicitFeedback, SyntheticFeedback
from gan_lightning.data.loaded import data_of, from_dataset
from gan_lightning.data.melodies import Melodies
from gan_lightning.data.query_documents import QueryDocuments
from gan_lightning.data.rolls import Rolls
from gan_lightning.data.stream import Batch, RealSamples, Rounds
from gan_lightning.data.synthetic import GaussianMixture, Grid, RandomImages, Ring, SwissRoll
from gan_lightning.data.text import Text
from gan_lightning.data.torchvision_images import TorchvisionImages

__all__ = [
    "AudioFolder",
    "Batch",
    "Digits",
    "GaussianMixture",
    "Grid",
    "ImageFolder",
    "ImplicitFeedback",
    "Melodies",
    "QueryDocuments",
    "RandomImages",
    "RealData",
    "RealSamples",
    "Ring",
    "Rolls",
    "Rounds",
    "SwissRoll",
    "SyntheticFeedback",
    "Text",
    "TorchvisionImages",
    "data_of",
    "from_dataset",
]
