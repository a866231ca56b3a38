# Copyright (c) mmfba authors.
"""Write the plain network of a checkpoint for the stock libraries.

NAME.pth becomes NAME-xxxxxxxx.pth with the first digits of its sha256, beside
NAME.py, the plain config. Both are checked before they appear: the stock model
computes bit for bit what the local model does.
"""

import argparse

from mmfba.engine.command_line import (
    add_config_options,
    add_trust_checkpoint,
    load_config,
)


def main(argv=None) -> None:
    """Publish a checkpoint.

    Args:
        argv (list[str], optional): Arguments instead of the command line's.
            Defaults to None.
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config of the local model')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('out', help='the file to write, NAME.pth')
    add_trust_checkpoint(parser)
    add_config_options(parser)
    args = parser.parse_args(argv)
    from mmfba.engine.checkpoint_files import checkpoint_loading
    from mmfba.engine.plain_config import own_types, plain_config
    from mmfba.engine.publish import publish
    from mmfba.engine.user_errors import one_line_errors

    with one_line_errors(), checkpoint_loading(args.trust_checkpoint):
        cfg = load_config(args)
        paths = publish(
            cfg, args.checkpoint, args.out, trust=args.trust_checkpoint
        )
    print(*paths, sep='\n')
    own = own_types(plain_config(cfg))
    if own:
        print(f'The config needs mmfba for {", ".join(own)}.')


if __name__ == '__main__':
    main()
