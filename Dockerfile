# CUDA PyTorch with the project installed; the commands inside are the README's.
#
#   docker build -t gan-lightning .
#   docker run --rm --gpus all -v "$PWD/runs:/workspace/runs" gan-lightning fit --config configs/wgan_gp/cifar10.yaml
FROM pytorch/pytorch:2.7.1-cuda12.8-cudnn9-runtime
WORKDIR /workspace
COPY pyproject.toml README.md LICENSE ./
COPY gan_lightning gan_lightning
COPY configs configs
COPY scripts scripts
# torch and torchvision of the image satisfy the bounds in pyproject.toml, so pip leaves them alone.
RUN pip install --no-cache-dir -e .
ENTRYPOINT ["gan-lightning"]
CMD ["--help"]
